//! The injected clock; the only code that reads the system's clocks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// A wall clock, for people and certificates, which may be set at any moment, and a monotonic clock, for
/// durations, which never jumps.
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

/// How far in the future a timestamp may be and still be believed: clocks of machines differ.
pub const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

/// Whether a timestamp is so far in the future that the clock must have been wrong.
pub fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at > now.checked_add(CLOCKS_DIFFER).unwrap_or(Timestamp::MAX)
}

impl Clock {
    /// Creates a clock that reads the system's.
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    pub fn system() -> Self {
        Self(ClockSource::System(Instant::now()))
    }

    /// Creates a clock that only its [`ManualClock`] moves.
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let reading = Arc::new(Mutex::new(ClockReading {
            wall: start,
            elapsed: Duration::ZERO,
        }));
        (Self(ClockSource::Manual(reading.clone())), ManualClock(reading))
    }

    /// Returns the wall-clock time.
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            ClockSource::System(_) => Timestamp::now(),
            ClockSource::Manual(reading) => lock(reading).wall,
        }
    }

    /// Returns the wall-clock time as an HTTP date (RFC 9110, section 5.6.7); `None` for years outside of its
    /// range. Not cached: a cached date would be wrong after the clock is set back.
    pub fn http_date(&self) -> Option<String> {
        DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&self.now())
            .ok()
    }

    /// Returns the time since this clock was created; independent of the wall clock.
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
    /// Advances both clocks.
    pub fn advance(&self, by: Duration) {
        let mut reading = lock(&self.0);
        reading.wall += by;
        reading.elapsed += by;
    }

    /// Sets the wall clock only.
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
