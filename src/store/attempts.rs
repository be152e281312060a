//! Operations on failed attempts and locks.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::model::{LockoutPolicy, LockoutSubject};

/// Failed attempts and locks: a part of [`Store`](super::Store).
#[async_trait]
pub trait AttemptStore: Send + Sync + 'static {
    /// Counts an attempt as a failure before the password is checked, unless the subject is locked. An
    /// account that was removed meanwhile is counted like an unknown name.
    ///
    /// Atomic: of any number of concurrent calls exactly as many are [`AttemptOutcome::Counted`] as the
    /// policy allows. The attempt number `max_failures` + 1 starts the lock. Attempts while locked change
    /// nothing. A lock is measured by the monotonic clock while this process runs, and never lasts longer
    /// than `policy.duration` after a restart (S11). After it, counting starts at zero.
    async fn record_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<AttemptOutcome, StoreError>;

    /// Removes the failures and the lock of a subject that has authenticated.
    async fn clear_attempts(&self, subject: LockoutSubject) -> Result<(), StoreError>;

    /// Takes back one counted attempt that was not evaluated, and a lock that it alone started.
    async fn withdraw_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<(), StoreError>;

    /// Returns how long a subject is still locked; `None` if it is not.
    async fn locked_for(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<Option<Duration>, StoreError>;
}

/// The outcome of [`AttemptStore::record_attempt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Counted as the n-th consecutive failure; the attempt may be evaluated.
    Counted(u32),
    /// Locked for this long; the attempt must not be evaluated.
    Locked(Duration),
}
