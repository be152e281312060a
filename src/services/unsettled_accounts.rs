//! Accounts of which memory may allow less than the store, until they were read again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ids::AccountId;

/// The accounts whose access in memory was restricted because the store did not say what it holds of them.
///
/// A restriction and the return to what was read exclude each other: an account that was read before a
/// restriction takes nothing of it back.
#[derive(Debug, Default)]
pub(super) struct UnsettledAccounts(Mutex<Restrictions>);

#[derive(Debug, Default)]
struct Restrictions {
    newest: HashMap<AccountId, Restriction>,
    count: u64,
}

/// The newest restriction of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Restriction(u64);

impl UnsettledAccounts {
    /// Marks the account, and runs `restrict`.
    pub(super) fn mark(&self, id: AccountId, restrict: impl FnOnce()) {
        let mut restrictions = self.restrictions();
        restrictions.count += 1;
        let newest = Restriction(restrictions.count);
        restrictions.newest.insert(id, newest);
        restrict();
    }

    /// Returns the restriction in force; to be asked for before the account is read.
    pub(super) fn of(&self, id: AccountId) -> Option<Restriction> {
        self.restrictions().newest.get(&id).copied()
    }

    /// Runs `apply`, which applies what was read, and unmarks the account; returns false, and does neither, if
    /// the account was restricted after `seen`.
    pub(super) fn settle(&self, id: AccountId, seen: Option<Restriction>, apply: impl FnOnce()) -> bool {
        let mut restrictions = self.restrictions();
        if restrictions.newest.get(&id).copied() != seen {
            return false;
        }
        apply();
        restrictions.newest.remove(&id);
        true
    }

    pub(super) fn contains(&self, id: AccountId) -> bool {
        self.of(id).is_some()
    }

    pub(super) fn ids(&self) -> Vec<AccountId> {
        self.restrictions().newest.keys().copied().collect()
    }

    fn restrictions(&self) -> MutexGuard<'_, Restrictions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::random::Random;

    #[test]
    fn what_was_read_before_a_restriction_takes_nothing_of_it_back() {
        let (unsettled, id) = (
            UnsettledAccounts::default(),
            AccountId::new(Timestamp::UNIX_EPOCH, &Random::seeded(1)),
        );
        let before = unsettled.of(id);
        unsettled.mark(id, || {});
        assert!(!unsettled.settle(id, before, || panic!("it is outdated")));
        let first = unsettled.of(id);
        unsettled.mark(id, || {});
        assert!(!unsettled.settle(id, first, || panic!("it is outdated")));
        assert!(unsettled.contains(id) && unsettled.ids() == [id]);
        assert!(unsettled.settle(id, unsettled.of(id), || {}));
        assert!(!unsettled.contains(id));
    }
}
