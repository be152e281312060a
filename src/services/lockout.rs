//! Lockout of names after too many failures.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::model::{LockoutPolicy, LockoutSubject};
use crate::store::{AttemptOutcome, Store, StoreError};

/// Counts attempts in the store; attempts beyond the allowance wait for those in flight.
///
/// An attempt is counted as a failure before it is evaluated, so that parallel guesses count (S10). That
/// alone would refuse the twelfth of many parallel *right* attempts; so an attempt that finds the name locked
/// waits while others are being evaluated, any of which may clear the count.
#[derive(Debug)]
pub(super) struct Lockout {
    store: Arc<dyn Store>,
    policy: LockoutPolicy,
    gates: Gates,
}

/// The result of [`Lockout::admit`].
#[derive(Debug)]
pub(super) enum AttemptDecision<P> {
    /// Counted; to be evaluated with this permit.
    Evaluate(InFlight, P),
    /// Locked for this time; must not be evaluated.
    Locked(Duration),
}

/// The result of [`Lockout::evaluate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttemptResult {
    /// Right, and not locked.
    Passed,
    /// Wrong, and counted.
    Failed {
        /// Whether this failure starts the lock.
        locks: bool,
    },
    /// Locked for this time, right or wrong.
    Locked(Duration),
}

/// An attempt that is counted and not yet evaluated. Dropped without [`clear`](Self::clear), it was a
/// failure.
#[derive(Debug)]
pub(super) struct InFlight {
    store: Arc<dyn Store>,
    gate: GateUse,
    count: u32,
    allowed: u32,
}

impl Lockout {
    /// Attempts of a name wait for each other if they share `gates`.
    pub(super) fn new(store: Arc<dyn Store>, gates: Gates, policy: LockoutPolicy) -> Self {
        Self { store, policy, gates }
    }

    /// Counts an attempt for this subject, unless it is locked. Takes a permit from `place` before it counts;
    /// an attempt that waits for others of its name holds none, so that it does not delay other names.
    pub(super) async fn admit<P, E: From<StoreError>>(
        &self,
        subject: LockoutSubject,
        place: impl Fn() -> Result<P, E>,
    ) -> Result<AttemptDecision<P>, E> {
        let gate = self.gates.enter(subject);
        loop {
            // One attempt of a name is counted at a time, so that the number in flight is known when the
            // store responds.
            let counting = gate.gate.counting.lock().await;
            let place = place()?;
            let mut flights = gate.gate.flights.subscribe();
            let before = *flights.borrow();
            match self.record(subject).await? {
                AttemptOutcome::Counted(count) => {
                    gate.gate.flights.send_modify(|flights| flights.aloft += 1);
                    drop(counting);
                    let attempt = InFlight {
                        store: self.store.clone(),
                        gate,
                        count,
                        allowed: self.policy.max_failures,
                    };
                    return Ok(AttemptDecision::Evaluate(attempt, place));
                }
                AttemptOutcome::Locked(wait) if before.aloft == 0 => {
                    return Ok(AttemptDecision::Locked(wait));
                }
                AttemptOutcome::Locked(_) => {
                    drop((counting, place));
                    // Fails only when the sender is gone, and the gate holds that.
                    flights
                        .wait_for(|now| now.aloft == 0 || now.cleared != before.cleared)
                        .await
                        .ok();
                }
            }
        }
    }

    /// Evaluates a proof that is cheap to check: a right one is not counted. Proofs of one subject are
    /// evaluated one after another, so that concurrent ones reveal no more than the policy allows (S10).
    pub(super) async fn evaluate(
        &self,
        subject: LockoutSubject,
        is_right: bool,
    ) -> Result<AttemptResult, StoreError> {
        let gate = self.gates.enter(subject);
        let _turn = gate.gate.counting.lock().await;
        if is_right {
            let locked = match self.store.locked_for(subject, self.policy).await {
                Err(error @ StoreError::Corrupt(_)) => Some(self.lock_unreadable(&error)),
                locked => locked?,
            };
            return Ok(locked.map_or(AttemptResult::Passed, AttemptResult::Locked));
        }
        Ok(match self.record(subject).await? {
            AttemptOutcome::Counted(count) => AttemptResult::Failed {
                locks: count > self.policy.max_failures,
            },
            AttemptOutcome::Locked(wait) => AttemptResult::Locked(wait),
        })
    }
}

impl Lockout {
    /// Counts an attempt. A subject whose failures cannot be read is locked, and no other (S49): its row stays as it is
    /// until it is mended, or the subject is unlocked.
    async fn record(&self, subject: LockoutSubject) -> Result<AttemptOutcome, StoreError> {
        match self.store.record_attempt(subject, self.policy).await {
            Err(error @ StoreError::Corrupt(_)) => Ok(AttemptOutcome::Locked(self.lock_unreadable(&error))),
            outcome => outcome,
        }
    }

    fn lock_unreadable(&self, error: &StoreError) -> Duration {
        tracing::error!(%error, "failed attempts cannot be read: their account, access key or name is locked");
        self.policy.duration
    }
}

impl InFlight {
    /// Clears the failures and the lock after a right proof.
    pub(super) async fn clear(self) -> Result<(), StoreError> {
        self.store.clear_attempts(self.gate.subject).await?;
        self.gate.gate.flights.send_modify(|flights| flights.cleared += 1);
        Ok(())
    }

    /// Returns whether this attempt, if it fails, starts the lock.
    pub(super) fn is_last(&self) -> bool {
        self.count > self.allowed
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gate.gate.flights.send_modify(|flights| flights.aloft -= 1);
    }
}

/// The subjects with attempts under way; bounded by the number of requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Gates(Arc<Mutex<HashMap<LockoutSubject, Arc<SubjectGate>>>>);

#[derive(Debug, Default)]
struct SubjectGate {
    counting: tokio::sync::Mutex<()>,
    flights: watch::Sender<Flights>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Flights {
    /// Attempts that are counted and not yet evaluated.
    aloft: u32,
    /// How often an attempt cleared the count.
    cleared: u64,
}

/// A use of a gate; dropping the last one removes the gate.
#[derive(Debug)]
struct GateUse {
    gates: Gates,
    subject: LockoutSubject,
    gate: Arc<SubjectGate>,
}

impl Gates {
    fn enter(&self, subject: LockoutSubject) -> GateUse {
        GateUse {
            gates: self.clone(),
            subject,
            gate: Arc::clone(self.lock().entry(subject).or_default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LockoutSubject, Arc<SubjectGate>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GateUse {
    fn drop(&mut self) {
        let mut gates = self.gates.lock();
        // Two: the map's and this one. More are only made under the lock.
        if Arc::strong_count(&self.gate) == 2 {
            gates.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::sled::SledStore;

    fn lockout(folder: &tempfile::TempDir) -> Lockout {
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH).0;
        let policy = LockoutPolicy {
            max_failures: 1,
            duration: Duration::from_mins(20),
        };
        let store: Arc<dyn crate::store::Store> =
            Arc::new(SledStore::open(&folder.path().join("store"), clock).unwrap());
        Lockout::new(store, Gates::default(), policy)
    }

    const ANYWHERE: fn() -> Result<(), StoreError> = || Ok(());

    async fn evaluate(lockout: &Lockout, subject: LockoutSubject) -> InFlight {
        match lockout.admit(subject, ANYWHERE).await.unwrap() {
            AttemptDecision::Evaluate(attempt, ()) => attempt,
            AttemptDecision::Locked(_) => panic!("locked"),
        }
    }

    #[tokio::test]
    async fn an_attempt_waits_for_those_in_flight_and_passes_when_one_of_them_clears() {
        let folder = tempfile::tempdir().unwrap();
        let (lockout, subject) = (lockout(&folder), LockoutSubject::unknown("a"));
        let (one, two) = (
            evaluate(&lockout, subject).await,
            evaluate(&lockout, subject).await,
        );
        let mut third = std::pin::pin!(lockout.admit(subject, ANYWHERE));
        assert!(futures_util::poll!(&mut third).is_pending());
        one.clear().await.unwrap();
        assert!(matches!(third.await.unwrap(), AttemptDecision::Evaluate(..)));
        drop(two);
        assert!(lockout.gates.lock().is_empty());
    }

    #[tokio::test]
    async fn an_attempt_is_refused_when_all_in_flight_failed_or_were_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let (lockout, subject) = (lockout(&folder), LockoutSubject::unknown("a"));
        let (one, two) = (
            evaluate(&lockout, subject).await,
            evaluate(&lockout, subject).await,
        );
        assert!(!one.is_last() && two.is_last());
        let mut third = std::pin::pin!(lockout.admit(subject, ANYWHERE));
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(one);
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(two);
        assert!(matches!(third.await.unwrap(), AttemptDecision::Locked(_)));
        assert!(lockout.gates.lock().is_empty());
    }

    #[tokio::test]
    async fn a_waiting_attempt_that_is_given_up_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (lockout, subject) = (lockout(&folder), LockoutSubject::unknown("a"));
        let attempts = (
            evaluate(&lockout, subject).await,
            evaluate(&lockout, subject).await,
        );
        {
            let mut third = std::pin::pin!(lockout.admit(subject, ANYWHERE));
            assert!(futures_util::poll!(&mut third).is_pending());
        }
        drop(attempts);
        assert!(lockout.gates.lock().is_empty());
    }

    #[tokio::test]
    async fn an_attempt_that_waits_has_no_place() {
        let folder = tempfile::tempdir().unwrap();
        let (lockout, subject) = (lockout(&folder), LockoutSubject::unknown("a"));
        let places = Arc::new(tokio::sync::Semaphore::new(4));
        let place = || Ok::<_, StoreError>(places.clone().try_acquire_owned().unwrap());
        let mut held = Vec::new();
        for _ in 0..2 {
            match lockout.admit(subject, place).await.unwrap() {
                AttemptDecision::Evaluate(attempt, place) => held.push((attempt, place)),
                AttemptDecision::Locked(_) => panic!("locked"),
            }
        }
        let mut waiting: Vec<_> = (0..200)
            .map(|_| Box::pin(lockout.admit(subject, place)))
            .collect();
        for attempt in &mut waiting {
            assert!(futures_util::poll!(attempt).is_pending());
        }
        // The attempt that is being counted holds the only permit.
        assert_eq!(places.available_permits(), 1, "it is free for other names");
        drop(held);
        for admitted in futures_util::future::join_all(waiting).await {
            assert!(matches!(admitted.unwrap(), AttemptDecision::Locked(_)));
        }
    }
}
