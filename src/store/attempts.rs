//! Failed attempts and locks.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::model::{LockoutPolicy, LockoutSubject};

/// Failed attempts and locks: a part of every [`Store`](super::Store).
#[async_trait]
pub trait AttemptStore: Send + Sync + 'static {
    /// Counts an attempt as a failure before anything is hashed, unless the subject is locked. An account that was
    /// removed meanwhile is counted like a name that belongs to nobody.
    ///
    /// Atomic: of any number of parallel calls exactly as many are [`AttemptOutcome::Counted`] as the policy allows.
    /// The attempt that uses up the allowance starts the lock (`max_failures` + 1). Attempts while locked change
    /// nothing. A lock is measured by the monotonic clock while this process runs, and never lasts longer than
    /// `policy.duration` after a restart (S11). When it is over, counting starts again at zero.
    async fn record_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<AttemptOutcome, StoreError>;

    /// Forgets the failures and the lock of a subject: it proved itself.
    async fn clear_attempts(&self, subject: LockoutSubject) -> Result<(), StoreError>;

    /// Takes back one counted attempt that was not evaluated, and a lock that it alone started.
    async fn withdraw_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<(), StoreError>;

    /// For how long a subject is still locked.
    async fn locked_for(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<Option<Duration>, StoreError>;
}

/// What became of [`AttemptStore::record_attempt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Counted as a failure, the n-th in a row; may be evaluated.
    Counted(u32),
    /// Locked for so long; must not be evaluated.
    Locked(Duration),
}
