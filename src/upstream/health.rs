//! Passive health of a server, as its responses show it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a failing server is left out: doubled with each failure, up to [`LONGEST`], so that a server that
/// passes every probe and breaks off every response costs few requests.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Whether a server is suspect. A server that never failed costs one atomic load per response.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// It failed to send a whole response and was not readmitted since.
    is_suspect: AtomicBool,
    /// It was suspect, and the back-off is not reset yet.
    has_failed: AtomicBool,
    record: Mutex<HealthRecord>,
}

#[derive(Debug, Default)]
struct HealthRecord {
    /// How long it was left out last.
    left_out: Duration,
    until: Option<Instant>,
}

impl Health {
    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Relaxed)
    }

    /// Marks the server as suspect. Returns for how long; `None` if it already is.
    pub(super) fn fail(&self) -> Option<Duration> {
        if self.is_suspect.swap(true, Ordering::Relaxed) {
            return None;
        }
        let mut record = self.record();
        record.left_out = (2 * record.left_out).clamp(FIRST, LONGEST);
        record.until = Some(Instant::now() + record.left_out);
        self.has_failed.store(true, Ordering::Relaxed);
        Some(record.left_out)
    }

    /// Returns when a suspect may be readmitted, if it responds to a probe.
    pub(super) fn due(&self) -> Option<Instant> {
        self.record().until.filter(|_| self.is_suspect())
    }

    /// Readmits the server, on trial.
    pub(super) fn readmit(&self) {
        self.is_suspect.store(false, Ordering::Relaxed);
    }

    /// Reports a whole response. Resets the back-off once the server has been back for as long as it was left
    /// out; one good response is no proof, as every other may break off.
    pub(super) fn succeed(&self) {
        if !self.has_failed.load(Ordering::Relaxed) || self.is_suspect() {
            return;
        }
        let mut record = self.record();
        if record
            .until
            .is_none_or(|until| Instant::now() >= until + record.left_out)
        {
            *record = HealthRecord::default();
            self.has_failed.store(false, Ordering::Relaxed);
        }
    }

    fn record(&self) -> MutexGuard<'_, HealthRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Waits until it is due, and readmits it.
    async fn come_back(health: &Health) {
        let due = health.due().unwrap();
        tokio::time::sleep_until(due).await;
        health.readmit();
        assert_eq!((health.is_suspect(), health.due()), (false, None));
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_again_is_left_out_for_twice_as_long() {
        let health = Health::default();
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
    async fn failures_are_forgotten_after_good_responses() {
        let health = Health::default();
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
