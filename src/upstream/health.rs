//! Health of a server: as its responses show it, and as checks find it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::config::HealthConfig;

/// How long a failing server is left out: doubled with each failure, up to [`LONGEST`], so that a server that
/// passes every probe and breaks off every response costs few requests.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// What decides over a server's state.
#[derive(Clone, Copy, Debug)]
struct HealthPolicy {
    rise: u16,
    fall: u16,
    failures: u16,
    slow_start: Duration,
}

/// The health of a server. One that never failed costs three atomic loads per request.
#[derive(Debug)]
pub(super) struct Health {
    policy: HealthPolicy,
    /// It failed to send whole responses and was not readmitted since.
    is_suspect: AtomicBool,
    /// It failed, and that is not forgotten yet.
    has_failed: AtomicBool,
    /// Checks failed, and did not pass again since.
    is_down: AtomicBool,
    /// It was away, and does not get its whole share again yet.
    is_starting: AtomicBool,
    record: Mutex<HealthRecord>,
}

#[derive(Debug, Default)]
struct HealthRecord {
    /// Responses that it failed to send, one after another.
    failures: u16,
    /// How long it was left out last.
    left_out: Duration,
    until: Option<Instant>,
    /// Checks with the last outcome, one after another.
    checks: u16,
    has_passed: bool,
    /// When it was there again.
    returned: Option<Instant>,
}

/// Whether a server gets requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerState {
    /// It gets its share.
    Up,
    /// It gets a growing part of its share.
    Starting,
    /// It failed to respond, and gets requests only where no other is up.
    Suspect,
    /// Its checks fail, and it gets requests only where there is no other.
    Down,
}

impl Health {
    pub(super) fn new(config: &HealthConfig) -> Self {
        Self {
            policy: HealthPolicy {
                rise: config.rise,
                fall: config.fall,
                failures: config.failures,
                slow_start: config.slow_start.0,
            },
            is_suspect: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            is_down: AtomicBool::new(false),
            is_starting: AtomicBool::new(false),
            record: Mutex::default(),
        }
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Relaxed)
    }

    pub(super) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    pub(super) fn state(&self) -> ServerState {
        match (self.is_down(), self.is_suspect()) {
            (true, _) => ServerState::Down,
            (false, true) => ServerState::Suspect,
            (false, false) if self.share() < 1.0 => ServerState::Starting,
            (false, false) => ServerState::Up,
        }
    }

    /// Returns the part of its share that it gets, above 0 and up to 1.
    pub(super) fn share(&self) -> f64 {
        /// The first requests show whether it can take more.
        const LEAST: f64 = 0.05;
        if !self.is_starting.load(Ordering::Relaxed) {
            return 1.0;
        }
        let returned = self.record().returned;
        let passed = returned.map_or(Duration::MAX, |returned| returned.elapsed());
        if passed >= self.policy.slow_start {
            self.is_starting.store(false, Ordering::Relaxed);
            return 1.0;
        }
        passed.div_duration_f64(self.policy.slow_start).max(LEAST)
    }

    /// Reports a response that failed. Returns for how long the server is left out from now on; `None` if it already is, or
    /// may fail once more.
    pub(super) fn fail(&self) -> Option<Duration> {
        if self.is_suspect() {
            return None;
        }
        let mut record = self.record();
        self.has_failed.store(true, Ordering::Relaxed);
        record.failures = record.failures.saturating_add(1);
        if record.failures < self.policy.failures || self.is_suspect.swap(true, Ordering::Relaxed) {
            return None;
        }
        record.left_out = (2 * record.left_out).clamp(FIRST, LONGEST);
        record.until = Some(Instant::now() + record.left_out);
        Some(record.left_out)
    }

    /// Returns when a suspect may be readmitted, if it responds to a probe.
    pub(super) fn due(&self) -> Option<Instant> {
        self.is_suspect().then(|| self.record().until).flatten()
    }

    /// Readmits the server, on trial.
    pub(super) fn readmit(&self) {
        let mut record = self.record();
        record.failures = 0;
        self.is_suspect.store(false, Ordering::Relaxed);
        self.begin_slowly(&mut record);
    }

    /// Reports a whole response. Resets the back-off once the server has been back for as long as it was left
    /// out; one good response is no proof, as every other may break off.
    pub(super) fn succeed(&self) {
        if !self.has_failed.load(Ordering::Relaxed) || self.is_suspect() {
            return;
        }
        let mut record = self.record();
        record.failures = 0;
        if record
            .until
            .is_none_or(|until| Instant::now() >= until + record.left_out)
        {
            (record.left_out, record.until) = (Duration::ZERO, None);
            self.has_failed.store(false, Ordering::Relaxed);
        }
    }

    /// Reports the outcome of a check. Returns whether the server is up, if that has changed.
    pub(super) fn check(&self, has_passed: bool) -> Option<bool> {
        let mut record = self.record();
        if record.has_passed != has_passed {
            (record.has_passed, record.checks) = (has_passed, 0);
        }
        record.checks = record.checks.saturating_add(1);
        let (is_wanted, needed) = if has_passed {
            (self.is_down(), self.policy.rise)
        } else {
            (!self.is_down(), self.policy.fall)
        };
        if !is_wanted || record.checks < needed {
            return None;
        }
        self.is_down.store(!has_passed, Ordering::Relaxed);
        if has_passed {
            self.begin_slowly(&mut record);
        }
        Some(has_passed)
    }

    fn begin_slowly(&self, record: &mut HealthRecord) {
        record.returned = Some(Instant::now());
        let is_slow = !self.policy.slow_start.is_zero();
        self.is_starting.store(is_slow, Ordering::Relaxed);
    }

    fn record(&self) -> MutexGuard<'_, HealthRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::config::HumanDuration;

    /// Waits until it is due, and readmits it.
    async fn come_back(health: &Health) {
        let due = health.due().unwrap();
        tokio::time::sleep_until(due).await;
        health.readmit();
        assert_eq!((health.is_suspect(), health.due()), (false, None));
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_again_is_left_out_for_twice_as_long() {
        let health = Health::new(&HealthConfig::default());
        let mut left_out = Vec::new();
        for _ in 0..9 {
            left_out.push(health.fail().unwrap().as_millis());
            assert_eq!(health.fail(), None, "it is left out already");
            // What is still under way, or sent to it where there is no other, changes nothing.
            health.succeed();
            come_back(&health).await;
            // One good response is not enough.
            health.succeed();
        }
        let doubled = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000];
        assert_eq!(left_out, doubled);
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_failures_as_are_allowed_follow_one_another() {
        let health = Health::new(&HealthConfig {
            failures: 3,
            ..HealthConfig::default()
        });
        for _ in 0..2 {
            assert_eq!((health.fail(), health.fail()), (None, None));
            assert_eq!(health.state(), ServerState::Up);
            health.succeed();
        }
        assert_eq!((health.fail(), health.fail()), (None, None));
        assert_eq!(health.fail(), Some(FIRST));
        assert_eq!(health.state(), ServerState::Suspect);
    }

    #[tokio::test(start_paused = true)]
    async fn checks_rise_and_fall_and_a_server_that_is_back_begins_slowly() {
        let health = Health::new(&HealthConfig {
            rise: 3,
            fall: 2,
            slow_start: HumanDuration(Duration::from_secs(10)),
            ..HealthConfig::default()
        });
        let check = |outcomes: &[bool]| -> Vec<Option<bool>> {
            outcomes.iter().map(|outcome| health.check(*outcome)).collect()
        };
        assert_eq!(check(&[true, false, true, false]), [None; 4]);
        assert_eq!(check(&[false, false]), [Some(false), None]);
        assert_eq!(health.state(), ServerState::Down);
        assert_eq!(check(&[true, true, false, true, true]), [None; 5]);
        assert_eq!(check(&[true, true]), [Some(true), None]);
        assert_eq!(health.state(), ServerState::Starting);
        assert!(health.share() < 0.1);
        advance(Duration::from_secs(5)).await;
        assert!((health.share() - 0.5).abs() < 0.01);
        advance(Duration::from_secs(5)).await;
        assert_eq!(health.state(), ServerState::Up);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten_after_good_responses() {
        let health = Health::new(&HealthConfig::default());
        for _ in 0..3 {
            health.fail().unwrap();
            come_back(&health).await;
        }
        advance(Duration::from_millis(1900)).await;
        health.succeed();
        assert_eq!(health.fail(), Some(Duration::from_secs(4)));
        come_back(&health).await;
        advance(Duration::from_secs(4)).await;
        health.succeed();
        assert_eq!(health.fail(), Some(FIRST));
    }
}
