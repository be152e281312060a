//! Time, injected. The only place that reads the machine's clocks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// Two clocks in one: the wall clock, which people and certificates read and which may be set at any
/// moment, and a monotonic one, which measures how long something took and never jumps.
#[derive(Clone, Debug)]
pub struct Clock(ClockSource);

#[derive(Clone, Debug)]
enum ClockSource {
    System(Instant),
    Manual(Arc<Mutex<ClockReading>>),
}

#[derive(Clone, Copy, Debug)]
struct ClockReading {
    wall: Timestamp,
    elapsed: Duration,
}

/// So far ahead of the clock something may be that is believed: machines differ.
pub const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

/// Whether something is told to have happened so far ahead of `now` that a clock must have been ahead then.
pub fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at > now.checked_add(CLOCKS_DIFFER).unwrap_or(Timestamp::MAX)
}

impl Clock {
    /// The machine's clocks.
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    pub fn system() -> Self {
        Self(ClockSource::System(Instant::now()))
    }

    /// A clock that stands still until its [`ManualClock`] moves it.
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let reading = Arc::new(Mutex::new(ClockReading {
            wall: start,
            elapsed: Duration::ZERO,
        }));
        (Self(ClockSource::Manual(reading.clone())), ManualClock(reading))
    }

    /// The wall clock, UTC.
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            ClockSource::System(_) => Timestamp::now(),
            ClockSource::Manual(reading) => lock(reading).wall,
        }
    }

    /// The wall clock as HTTP says it (RFC 9110, section 5.6.7); `None` for years that it cannot say. Read anew each
    /// time: what is kept of a clock is wrong once that is set back.
    pub fn http_date(&self) -> Option<String> {
        DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&self.now())
            .ok()
    }

    /// Time since this clock was made; never goes back, unmoved by changes of the wall clock.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            ClockSource::System(start) => start.elapsed(),
            ClockSource::Manual(reading) => lock(reading).elapsed,
        }
    }
}

/// Moves a manual [`Clock`].
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<ClockReading>>);

impl ManualClock {
    /// Time passes: both clocks go on by `by`.
    pub fn advance(&self, by: Duration) {
        let mut reading = lock(&self.0);
        reading.wall += by;
        reading.elapsed += by;
    }

    /// Somebody sets the wall clock; no time passes.
    pub fn set_wall(&self, to: Timestamp) {
        lock(&self.0).wall = to;
    }
}

fn lock(reading: &Mutex<ClockReading>) -> std::sync::MutexGuard<'_, ClockReading> {
    reading.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_wall_clock_leaves_the_monotonic_one_alone() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        hand.advance(Duration::from_secs(5));
        hand.set_wall(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }
}
