//! A moment by the wall clock and the monotonic one.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;

/// A moment by two clocks: the wall clock for users and the store, the monotonic one for lifetimes.
#[derive(Clone, Copy, Debug)]
pub(super) struct DualTime {
    wall: Timestamp,
    elapsed_ms: i64,
}

impl DualTime {
    pub(super) fn of(clock: &Clock) -> Self {
        Self {
            wall: clock.now(),
            elapsed_ms: millis(clock.monotonic()),
        }
    }

    pub(super) fn wall(self) -> Timestamp {
        self.wall
    }

    /// Returns the monotonic time in milliseconds.
    pub(super) fn elapsed_ms(self) -> i64 {
        self.elapsed_ms
    }

    #[cfg(test)]
    pub(super) fn begin(wall: Timestamp) -> Self {
        Self { wall, elapsed_ms: 0 }
    }

    /// Returns the moment at which the wall clock will show `wall`, provided it is not set.
    pub(super) fn by_wall(self, wall: Timestamp) -> Self {
        let ahead = wall.as_millisecond().saturating_sub(self.wall.as_millisecond());
        Self {
            wall,
            elapsed_ms: self.elapsed_ms.saturating_add(ahead),
        }
    }

    /// Returns whether `now` is at or after this moment by either clock.
    pub(super) fn has_come(self, now: Self) -> bool {
        self.elapsed_ms <= now.elapsed_ms || self.wall <= now.wall
    }

    /// Returns the monotonic time of a past wall-clock time; a future one counts as now.
    pub(super) fn elapsed_at(self, wall: Timestamp) -> i64 {
        let age = self.wall.as_millisecond().saturating_sub(wall.as_millisecond());
        self.elapsed_ms.saturating_sub(age.max(0))
    }
}

/// Returns a period in milliseconds.
pub(super) fn millis(period: Duration) -> i64 {
    i64::try_from(period.as_millis()).unwrap_or(i64::MAX)
}

/// Returns a time of the wall clock, in milliseconds since 1970; the nearest that can be written.
pub(super) fn timestamp(millis: i64) -> Timestamp {
    let out_of_range = if millis < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_millisecond(millis).unwrap_or(out_of_range)
}
