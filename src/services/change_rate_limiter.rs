//! Rate limit of the changes that owners make to their account.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::gcra::Gcra;
use crate::ids::AccountId;

/// The most changes of an account in a [`WINDOW`]: more than a user makes by hand, few enough for the store
/// and for concurrent changes of the account.
pub(super) const CHANGES: usize = 100;

pub(super) const WINDOW: Duration = Duration::from_hours(1);

/// How many accounts are in memory before the first sweep of expired ones.
const REMEMBERED: usize = 1024;

/// The owner has changed the account too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account was changed too often")]
pub struct TooManyChanges {
    /// The time until the next change is admitted.
    pub wait: Duration,
}

/// Limits the changes of each account by its owner (GCRA). Acts of administrators are not counted, nor is
/// what ends something: signing out, revoking a key, changing the password.
#[derive(Debug)]
pub(super) struct ChangeRateLimiter {
    clock: Clock,
    allowance: Gcra,
    accounts: Mutex<ChangeTable>,
}

#[derive(Debug)]
struct ChangeTable {
    /// The theoretical arrival time of each account's next change (GCRA).
    next: HashMap<AccountId, Duration>,
    /// The number of accounts at which expired ones are swept.
    pruned_at: usize,
}

impl ChangeRateLimiter {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            allowance: Gcra::new(CHANGES, CHANGES, WINDOW),
            accounts: Mutex::new(ChangeTable {
                next: HashMap::new(),
                pruned_at: REMEMBERED,
            }),
        }
    }

    /// Counts a change before it is made, so that concurrent ones cannot exceed the limit.
    pub(super) fn admit(&self, account: AccountId) -> Result<(), TooManyChanges> {
        let now = self.clock.monotonic();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.next.len() >= accounts.pruned_at {
            accounts.next.retain(|_, next| *next > now);
            accounts.pruned_at = REMEMBERED.max(2 * accounts.next.len());
        }
        let next = accounts.next.entry(account).or_default();
        let admitted = self.allowance.admit(next, now);
        admitted.map_err(|wait| TooManyChanges { wait })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn each_account_has_its_own_allowance_and_those_that_rest_are_forgotten() {
        let (clock, hand) = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let limit = ChangeRateLimiter::new(clock.clone());
        let random = Random::seeded(1);
        let account = || AccountId::new(clock.now(), &random);
        let (ann, bob) = (account(), account());
        for _ in 0..CHANGES {
            assert_eq!(limit.admit(ann), Ok(()));
        }
        let refused = limit.admit(ann).unwrap_err();
        assert_eq!(limit.admit(bob), Ok(()));
        hand.advance(refused.wait);
        assert_eq!(limit.admit(ann), Ok(()));
        for _ in 0..3 * REMEMBERED {
            assert_eq!(limit.admit(account()), Ok(()));
            hand.advance(WINDOW / 100);
        }
        assert!(limit.accounts.lock().unwrap().next.len() <= REMEMBERED);
    }
}
