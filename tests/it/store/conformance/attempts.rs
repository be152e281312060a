//! Lockout: S7, S8, S11 and S13.

use std::sync::Arc;
use std::time::Duration;

use vestibule::model::{LockoutPolicy, LockoutSubject};
use vestibule::store::{AttemptOutcome, Store};

use super::super::samples::{POLICY, account, later, noon};
use super::{Harness, assert_sound};

const MINUTE: Duration = Duration::from_mins(1);

/// A known account and an unknown name, which must behave alike.
async fn subjects<H: Harness>(harness: &H) -> [LockoutSubject; 2] {
    let ann = account("ann", harness.random());
    harness
        .store()
        .create_account(ann.clone(), None, noon())
        .await
        .unwrap();
    [
        LockoutSubject::Account(ann.id),
        LockoutSubject::unknown("nobody@example.com"),
    ]
}

async fn attempt(store: &Arc<dyn Store>, subject: LockoutSubject) -> AttemptOutcome {
    store.record_attempt(subject, POLICY).await.unwrap()
}

async fn locked_for(store: &Arc<dyn Store>, subject: LockoutSubject) -> Option<Duration> {
    store.locked_for(subject, POLICY).await.unwrap()
}

/// Fails often enough to lock.
async fn lock(store: &Arc<dyn Store>, subject: LockoutSubject) {
    for n in 1..=11 {
        assert_eq!(attempt(store, subject).await, AttemptOutcome::Counted(n));
    }
}

/// Asserts the remaining time of a lock, by every query.
async fn assert_locked(store: &Arc<dyn Store>, subject: LockoutSubject, remaining: Duration) {
    assert_eq!(locked_for(store, subject).await, Some(remaining), "{subject:?}");
    assert_eq!(
        attempt(store, subject).await,
        AttemptOutcome::Locked(remaining),
        "{subject:?}"
    );
}

pub(crate) async fn eleven_are_counted_and_then_it_is_locked<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    for subject in subjects(&harness).await {
        for n in 1..=11 {
            assert_eq!(locked_for(&store, subject).await, None);
            assert_eq!(attempt(&store, subject).await, AttemptOutcome::Counted(n));
        }
        assert_locked(&store, subject, 20 * MINUTE).await;
    }
    assert_sound(&store).await;
}

pub(crate) async fn a_lock_is_over_to_the_second_and_attempts_do_not_extend_it<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let subjects = subjects(&harness).await;
    for subject in subjects {
        lock(&store, subject).await;
    }
    for minutes in 1..20 {
        harness.hand().advance(MINUTE);
        for subject in subjects {
            assert_locked(&store, subject, (20 - minutes) * MINUTE).await;
        }
    }
    harness.hand().advance(Duration::from_secs(59));
    for subject in subjects {
        assert_locked(&store, subject, Duration::from_secs(1)).await;
    }
    harness.hand().advance(Duration::from_secs(1));
    for subject in subjects {
        assert_eq!(locked_for(&store, subject).await, None);
        lock(&store, subject).await;
        assert_locked(&store, subject, 20 * MINUTE).await;
    }
}

pub(crate) async fn success_forgets_failures_and_lock<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    for subject in subjects(&harness).await {
        for n in 1..=10 {
            assert_eq!(attempt(&store, subject).await, AttemptOutcome::Counted(n));
        }
        store.clear_attempts(subject).await.unwrap();
        lock(&store, subject).await;
        store.clear_attempts(subject).await.unwrap();
        assert_eq!(locked_for(&store, subject).await, None);
        assert_eq!(attempt(&store, subject).await, AttemptOutcome::Counted(1));
    }
}

pub(crate) async fn a_withdrawn_attempt_was_never_counted<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    for subject in subjects(&harness).await {
        store.withdraw_attempt(subject, POLICY).await.unwrap();
        assert_eq!(attempt(&store, subject).await, AttemptOutcome::Counted(1));
        assert_eq!(attempt(&store, subject).await, AttemptOutcome::Counted(2));
        store.withdraw_attempt(subject, POLICY).await.unwrap();
        assert_eq!(attempt(&store, subject).await, AttemptOutcome::Counted(2));
        for _ in 0..3 {
            store.withdraw_attempt(subject, POLICY).await.unwrap();
        }
        assert_eq!(attempt(&store, subject).await, AttemptOutcome::Counted(1));
    }
}

pub(crate) async fn a_withdrawn_attempt_takes_its_lock_along<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    for subject in subjects(&harness).await {
        lock(&store, subject).await;
        store.withdraw_attempt(subject, POLICY).await.unwrap();
        assert_eq!(locked_for(&store, subject).await, None);
        assert_eq!(attempt(&store, subject).await, AttemptOutcome::Counted(11));
        assert_locked(&store, subject, 20 * MINUTE).await;

        // The lock cleared its failures: there is nothing left to take back.
        harness.hand().advance(20 * MINUTE);
        store.withdraw_attempt(subject, POLICY).await.unwrap();
        assert_eq!(attempt(&store, subject).await, AttemptOutcome::Counted(1));
    }
}

pub(crate) async fn a_set_clock_neither_ends_nor_prolongs_a_lock<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let subjects = subjects(&harness).await;
    for subject in subjects {
        lock(&store, subject).await;
    }
    let day = Duration::from_hours(24);
    for wall in [later(noon(), day), noon().checked_sub(day).unwrap()] {
        harness.hand().set_wall(wall);
        harness.hand().advance(5 * MINUTE);
    }
    for subject in subjects {
        assert_locked(&store, subject, 10 * MINUTE).await;
    }
    harness.hand().advance(10 * MINUTE);
    for subject in subjects {
        assert_eq!(attempt(&store, subject).await, AttemptOutcome::Counted(1));
    }
}

pub(crate) async fn a_restart_keeps_what_is_left_of_a_lock<H: Harness>() {
    let harness = H::new();
    let subjects = subjects(&harness).await;
    for subject in subjects {
        lock(&harness.store(), subject).await;
    }
    harness.hand().advance(5 * MINUTE);
    let harness = harness.restart(later(noon(), 7 * MINUTE));
    for subject in subjects {
        assert_locked(&harness.store(), subject, 13 * MINUTE).await;
    }
    let harness = harness.restart(later(noon(), 20 * MINUTE));
    for subject in subjects {
        assert_eq!(locked_for(&harness.store(), subject).await, None);
        assert_eq!(
            attempt(&harness.store(), subject).await,
            AttemptOutcome::Counted(1)
        );
    }
}

pub(crate) async fn after_a_restart_a_clock_set_back_gives_no_more_than_a_whole_lock<H: Harness>() {
    let harness = H::new();
    let subjects = subjects(&harness).await;
    for subject in subjects {
        lock(&harness.store(), subject).await;
    }
    let harness = harness.restart(noon().checked_sub(Duration::from_hours(24)).unwrap());
    for subject in subjects {
        assert_locked(&harness.store(), subject, 20 * MINUTE).await;
    }
    harness.hand().advance(20 * MINUTE);
    for subject in subjects {
        assert_eq!(
            attempt(&harness.store(), subject).await,
            AttemptOutcome::Counted(1)
        );
    }
}

pub(crate) async fn after_a_restart_a_set_clock_changes_nothing<H: Harness>() {
    let harness = H::new();
    let subjects = subjects(&harness).await;
    for subject in subjects {
        lock(&harness.store(), subject).await;
    }
    let harness = harness.restart(later(noon(), 5 * MINUTE));
    let store = harness.store();
    for wall in [
        later(noon(), Duration::from_hours(24)),
        noon().checked_sub(Duration::from_hours(24)).unwrap(),
    ] {
        harness.hand().set_wall(wall);
        for subject in subjects {
            assert_locked(&store, subject, 15 * MINUTE).await;
        }
    }
}

pub(crate) async fn a_shorter_duration_holds_after_a_restart<H: Harness>() {
    let harness = H::new();
    let subjects = subjects(&harness).await;
    for subject in subjects {
        lock(&harness.store(), subject).await;
    }
    let harness = harness.restart(later(noon(), MINUTE));
    let shorter = LockoutPolicy {
        duration: 2 * MINUTE,
        ..POLICY
    };
    for subject in subjects {
        let remaining = harness.store().locked_for(subject, shorter).await.unwrap();
        assert_eq!(remaining, Some(2 * MINUTE));
    }
}

pub(crate) async fn failures_survive_a_restart<H: Harness>() {
    let harness = H::new();
    let subjects = subjects(&harness).await;
    for subject in subjects {
        for _ in 0..5 {
            attempt(&harness.store(), subject).await;
        }
    }
    let harness = harness.restart(later(noon(), Duration::from_hours(24)));
    for subject in subjects {
        assert_eq!(
            attempt(&harness.store(), subject).await,
            AttemptOutcome::Counted(6)
        );
    }
}

pub(crate) async fn subjects_are_counted_apart<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let [known, unknown] = subjects(&harness).await;
    lock(&store, known).await;
    lock(&store, unknown).await;
    let others = [
        LockoutSubject::unknown("nobody@example.org"),
        LockoutSubject::unknown("somebody@example.com"),
    ];
    for other in others {
        assert_eq!(locked_for(&store, other).await, None);
        assert_eq!(attempt(&store, other).await, AttemptOutcome::Counted(1));
    }
}

/// Removed between the caller's lookup and the attempt.
pub(crate) async fn a_removed_account_still_locks<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let [known, _] = subjects(&harness).await;
    let LockoutSubject::Account(id) = known else {
        unreachable!()
    };
    store.delete_account(id).await.unwrap();
    lock(&store, known).await;
    assert_locked(&store, known, 20 * MINUTE).await;
    assert_sound(&store).await;
}

pub(crate) async fn attempts_at_an_account_that_is_not_there_are_not_its_own<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    let subject = LockoutSubject::Account(ann.id);
    lock(&store, subject).await;
    assert_eq!(locked_for(&store, subject).await, Some(POLICY.duration));
    store.create_account(ann, None, noon()).await.unwrap();
    assert_eq!(locked_for(&store, subject).await, None);
    assert_eq!(attempt(&store, subject).await, AttemptOutcome::Counted(1));
    assert_sound(&store).await;
}
