//! Counting of failed attempts and measuring of locks, for every store.
//!
//! Unknown names share a table of bounded size: a keyed digest of the name selects one of [`SETS`] sets, each
//! with room for [`WAYS`] names. A full set evicts the name that failed longest ago, an unlocked one first.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::AttemptOutcome;
use super::record::{Failures, Run, StoredLock, UnknownFailures};
use crate::clock::Clock;
use crate::model::{LockoutPolicy, LockoutSubject};

/// Sets of the table of unknown names. With [`WAYS`] names each: room for 65,536.
const SETS: u16 = 8192;

/// Names in a set.
pub(super) const WAYS: usize = 8;

/// The policy for imported failures: whatever was locked stays locked.
pub(super) const ELSEWHERE: LockoutPolicy = LockoutPolicy {
    max_failures: u32::MAX,
    duration: Duration::MAX,
};

/// The digest under which a subject counts as an unknown name. An account or access key that does not exist
/// is counted so.
pub(super) fn name_of(subject: LockoutSubject) -> [u8; 32] {
    match subject {
        LockoutSubject::Account(id) => Sha256::digest(id.as_bytes()).into(),
        LockoutSubject::AccessKey(id) => Sha256::digest(id.as_bytes()).into(),
        LockoutSubject::Unknown(digest) => digest,
    }
}

/// Selects the set of a name. Keyed, so that names that share a set cannot be found without the key.
pub(super) fn set_of(names_key: &[u8; 32], digest: &[u8; 32]) -> u16 {
    let keyed = Sha256::new().chain_update(names_key).chain_update(digest);
    let [first, second, ..] = <[u8; 32]>::from(keyed.finalize());
    u16::from_be_bytes([first, second]) % SETS
}

/// Counts attempts, and measures locks by the monotonic clock.
#[derive(Clone, Debug)]
pub(super) struct AttemptCounter {
    clock: Clock,
    /// The current opening of the store, and the readings of both clocks at that time.
    run: Run,
    opened_at: Timestamp,
    opened: Duration,
}

/// The result of counting an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CountedAttempt {
    /// The failures to store.
    Failed(Failures),
    /// The subject is locked for this long; nothing changes.
    Locked(Duration),
}

impl AttemptCounter {
    pub(super) fn new(clock: Clock, run: Run) -> Self {
        Self {
            run,
            opened_at: clock.now(),
            opened: clock.monotonic(),
            clock,
        }
    }

    /// The time of the wall clock.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Counts an attempt on top of the stored failures, unless the subject is locked.
    pub(super) fn count(&self, found: Option<Failures>, policy: LockoutPolicy) -> CountedAttempt {
        let mut failures = match found.as_ref().map(|found| self.state(found, policy)) {
            Some(LockState::Locked(remaining)) => return CountedAttempt::Locked(remaining),
            Some(LockState::Open) => found.unwrap_or_default(),
            Some(LockState::Over) | None => Failures::default(),
        };
        failures.count = failures.count.saturating_add(1);
        if failures.count > policy.max_failures {
            failures.lock = Some(self.lock(policy.duration));
        }
        CountedAttempt::Failed(failures)
    }

    /// Takes one attempt back, and the lock if the remaining ones do not justify it. `None` if nothing is
    /// left to store.
    pub(super) fn withdraw(&self, mut failures: Failures, policy: LockoutPolicy) -> Option<Failures> {
        failures.count = failures.count.saturating_sub(1);
        if failures.count == 0 || matches!(self.state(&failures, policy), LockState::Over) {
            return None;
        }
        if failures.count <= policy.max_failures {
            failures.lock = None;
        }
        Some(failures)
    }

    /// Returns how long a lock still lasts; `None` if there is none in force.
    pub(super) fn left(&self, failures: &Failures, policy: LockoutPolicy) -> Option<Duration> {
        match self.state(failures, policy) {
            LockState::Locked(remaining) => Some(remaining),
            LockState::Open | LockState::Over => None,
        }
    }

    /// Selects the name of a set to evict.
    pub(super) fn first_to_go<'n, K: Ord>(
        &self,
        names: impl Iterator<Item = (&'n K, &'n UnknownFailures)>,
        policy: LockoutPolicy,
    ) -> Option<&'n K> {
        names
            .min_by_key(|&(name, kept)| (self.left(&kept.failures, policy).is_some(), kept.last, name))
            .map(|(name, _)| name)
    }

    fn lock(&self, lasts: Duration) -> StoredLock {
        StoredLock {
            lasts,
            until: later(self.clock.now(), lasts),
            run: self.run,
            ends: self.clock.monotonic().saturating_add(lasts),
        }
    }

    fn state(&self, failures: &Failures, policy: LockoutPolicy) -> LockState {
        let Some(lock) = &failures.lock else {
            return LockState::Open;
        };
        match self.ends(lock, policy).saturating_sub(self.clock.monotonic()) {
            Duration::ZERO => LockState::Over,
            remaining => LockState::Locked(remaining),
        }
    }

    /// Returns when a lock ends, by the monotonic clock.
    ///
    /// A lock of an earlier run ends, counted from the opening of the store, after what was left of it by the
    /// wall clock then; at most after its whole duration, however far that clock was set back, and at most
    /// after the policy's.
    fn ends(&self, lock: &StoredLock, policy: LockoutPolicy) -> Duration {
        if lock.run == self.run {
            return lock.ends;
        }
        let left = Duration::try_from(lock.until.duration_since(self.opened_at)).unwrap_or_default();
        self.opened
            .saturating_add(left.min(lock.lasts).min(policy.duration))
    }
}

impl CountedAttempt {
    /// The outcome for the caller.
    pub(super) fn attempt(&self) -> AttemptOutcome {
        match self {
            Self::Failed(failures) => AttemptOutcome::Counted(failures.count),
            Self::Locked(remaining) => AttemptOutcome::Locked(*remaining),
        }
    }
}

enum LockState {
    Open,
    Locked(Duration),
    /// The lock is over, and the failures before it count no longer.
    Over,
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| now.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}
