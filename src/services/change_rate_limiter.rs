//! How often the owner of an account changes what costs nothing to change.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::gcra::Gcra;
use crate::clock::Clock;
use crate::ids::AccountId;

/// Changes that an account takes within [`WINDOW`]: more than anybody makes by hand, and few enough that neither the
/// store nor whoever else changes the account feels them.
pub(super) const CHANGES: usize = 100;

pub(super) const WINDOW: Duration = Duration::from_hours(1);

/// Accounts that are remembered before it is looked for the first time which of them may be forgotten.
const REMEMBERED: usize = 1024;

/// The owner changed the account so often that the next change has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account was changed too often")]
pub struct TooManyChanges {
    /// After which time there is room for one more.
    pub wait: Duration,
}

/// Counts the changes of each account by its owner. What an administrator does is not counted, nor is what ends
/// something: signing out, revoking a key, another password.
#[derive(Debug)]
pub(super) struct ChangeRateLimiter {
    clock: Clock,
    allowance: Gcra,
    accounts: Mutex<ChangeTable>,
}

#[derive(Debug)]
struct ChangeTable {
    /// When the next change of each would be due if they came evenly.
    next: HashMap<AccountId, Duration>,
    /// How many there are when those that are past are forgotten.
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

    /// Counts a change before it is made, however many are made at the same moment.
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
