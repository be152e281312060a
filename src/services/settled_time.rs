//! A lower bound of the wall clock, for deletions that cannot be undone.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;

/// How long a clock that goes ahead is not trusted: the longest lifetime of a signature that is accepted
/// once.
const DOUBT: Duration = Duration::from_hours(7 * 24);

/// The latest time that is past by all readings of the wall clock within [`DOUBT`]. Expired rows are deleted
/// by it: a clock that is ahead for a minute must delete neither what is still valid nor what prevents a
/// replay (S36).
#[derive(Debug)]
pub(super) struct SettledTime {
    /// Readings: the monotonic time, and the seconds by which the wall clock was ahead of it; the latter
    /// increase.
    readings: VecDeque<(Duration, i64)>,
}

impl SettledTime {
    pub(super) fn since(clock: &Clock) -> Self {
        let mut settled = Self {
            readings: VecDeque::new(),
        };
        settled.read(clock);
        settled
    }

    /// Reads the clock and returns the settled time.
    pub(super) fn read(&mut self, clock: &Clock) -> Timestamp {
        let (elapsed, wall) = (clock.monotonic(), clock.now());
        let seconds = i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX);
        let ahead = wall.as_second().saturating_sub(seconds);
        while self.readings.back().is_some_and(|(_, known)| *known >= ahead) {
            self.readings.pop_back();
        }
        self.readings.push_back((elapsed, ahead));
        while self.readings.len() > 1
            && self
                .readings
                .front()
                .is_some_and(|(read, _)| elapsed.saturating_sub(*read) > DOUBT)
        {
            self.readings.pop_front();
        }
        let least = self.readings.front().map_or(ahead, |(_, least)| *least);
        Timestamp::from_second(least.saturating_add(seconds)).unwrap_or(wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_ahead_is_followed_when_it_stays_there() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let mut settled = SettledTime::since(&clock);
        let second = |at| Timestamp::from_second(at).unwrap();
        hand.advance(Duration::from_secs(10));
        assert_eq!(settled.read(&clock), second(10));
        hand.set_wall(second(100_000));
        assert_eq!(settled.read(&clock), second(10));
        hand.set_wall(second(5));
        assert_eq!(
            settled.read(&clock),
            second(5),
            "one that goes back is followed at once"
        );
        hand.set_wall(second(10_000_000));
        hand.advance(DOUBT);
        assert!(settled.read(&clock) < second(10_000_000));
        hand.advance(Duration::from_secs(1));
        assert_eq!(settled.read(&clock), clock.now());
    }
}
