//! How failed attempts are counted, and how locks are measured, wherever they are kept.
//!
//! Names that belong to nobody share a table of bounded size: a name's digest, keyed, chooses one of [`SETS`] sets, which
//! has room for [`WAYS`] names. When it is full one name goes: without a lock before with one, then the oldest.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::AttemptOutcome;
use super::record::{Failures, Run, StoredLock, UnknownFailures};
use crate::clock::Clock;
use crate::model::{LockoutPolicy, LockoutSubject};

/// Sets of the table of unknown names. With the ways, room for 65,536 names.
const SETS: u16 = 8192;

/// Names of a set.
pub(super) const WAYS: usize = 8;

/// How failures are counted that come from elsewhere: whatever is locked there counts as locked.
pub(super) const ELSEWHERE: LockoutPolicy = LockoutPolicy {
    max_failures: u32::MAX,
    duration: Duration::MAX,
};

/// The digest of a subject as a name that belongs to nobody, as which an account or an access key is counted that does not
/// exist.
pub(super) fn name_of(subject: LockoutSubject) -> [u8; 32] {
    match subject {
        LockoutSubject::Account(id) => Sha256::digest(id.as_bytes()).into(),
        LockoutSubject::AccessKey(id) => Sha256::digest(id.as_bytes()).into(),
        LockoutSubject::Unknown(digest) => digest,
    }
}

/// The set of a name; nobody who does not know the key can tell which names share one.
pub(super) fn set_of(names_key: &[u8; 32], digest: &[u8; 32]) -> u16 {
    let keyed = Sha256::new().chain_update(names_key).chain_update(digest);
    let [first, second, ..] = <[u8; 32]>::from(keyed.finalize());
    u16::from_be_bytes([first, second]) % SETS
}

/// Counts, and measures locks.
#[derive(Clone, Debug)]
pub(super) struct AttemptCounter {
    clock: Clock,
    /// This opening of the store, and both clocks' readings then.
    run: Run,
    opened_at: Timestamp,
    opened: Duration,
}

/// What is kept when an attempt is counted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CountedAttempt {
    /// These failures.
    Failed(Failures),
    /// What is there: it is locked for so long.
    Locked(Duration),
}

impl AttemptCounter {
    /// For an opening of the store.
    pub(super) fn new(clock: Clock, run: Run) -> Self {
        Self {
            run,
            opened_at: clock.now(),
            opened: clock.monotonic(),
            clock,
        }
    }

    /// What the wall clock says.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Counts an attempt beside the failures that were found, unless the subject is locked.
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

    /// Takes an attempt back, and the lock if without this attempt there would be none. None if nothing is left.
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

    /// For how long a lock still lasts, if it does.
    pub(super) fn left(&self, failures: &Failures, policy: LockoutPolicy) -> Option<Duration> {
        match self.state(failures, policy) {
            LockState::Locked(remaining) => Some(remaining),
            LockState::Open | LockState::Over => None,
        }
    }

    /// Which of a set's names goes first.
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

    /// When a lock ends, by the monotonic clock.
    ///
    /// One of an earlier run has, from the opening of the store, what was left of it by the wall clock then: at most
    /// all of it, however far somebody set the clock back, and at most what locks last now.
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
    /// What the caller is told.
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
    /// The lock is over, and the failures that led to it are forgotten.
    Over,
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| now.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}
