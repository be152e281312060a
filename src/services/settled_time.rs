//! A lower bound of the wall clock, for deletions that cannot be undone.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::store::{AuditFilter, AuditOrder, Store, StoreError};

/// How long a clock that goes ahead is not trusted: the longest lifetime of a signature that is accepted
/// once.
const DOUBT: Duration = Duration::from_hours(7 * 24);

/// The latest time that is past by all readings of the wall clock within [`DOUBT`]. Expired rows are deleted
/// by it: a clock that is ahead for a minute must delete neither what is still valid nor what prevents a
/// replay (S36).
#[derive(Debug)]
pub(super) struct SettledTime {
    clock: Clock,
    /// Readings: the monotonic time, and the seconds by which the wall clock was ahead of it; the latter
    /// increase.
    readings: Mutex<VecDeque<(Duration, i64)>>,
}

impl SettledTime {
    /// Starts with the time of the last event in the audit log as a reading, as long as it is possible that the
    /// clock went ahead since then.
    pub(super) async fn load(store: &dyn Store, clock: &Clock) -> Result<Self, StoreError> {
        let newest = store
            .read_audit(AuditFilter::default(), AuditOrder::NewestFirst, None, 1)
            .await?;
        let known = match newest.events.first() {
            Some((_, event)) => event.time.saturating_add(DOUBT),
            None if newest.unreadable.is_empty() && newest.next.is_none() => Ok(clock.now()),
            // Nothing is known of the time.
            None => Ok(Timestamp::MIN),
        };
        let settled = Self {
            clock: clock.clone(),
            readings: Mutex::default(),
        };
        settled.add(known.unwrap_or(Timestamp::MAX).min(clock.now()));
        Ok(settled)
    }

    /// Reads the clock and returns the settled time.
    pub(super) fn read(&self) -> Timestamp {
        self.add(self.clock.now())
    }

    fn add(&self, wall: Timestamp) -> Timestamp {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = self.clock.monotonic();
        let seconds = i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX);
        let ahead = wall.as_second().saturating_sub(seconds);
        while readings.back().is_some_and(|(_, known)| *known >= ahead) {
            readings.pop_back();
        }
        readings.push_back((elapsed, ahead));
        while readings.len() > 1
            && readings
                .front()
                .is_some_and(|(read, _)| elapsed.saturating_sub(*read) > DOUBT)
        {
            readings.pop_front();
        }
        let least = readings.front().map_or(ahead, |(_, least)| *least);
        Timestamp::from_second(least.saturating_add(seconds)).unwrap_or(wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_ahead_is_followed_when_it_stays_there() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let settled = SettledTime {
            clock: clock.clone(),
            readings: Mutex::default(),
        };
        let second = |at| Timestamp::from_second(at).unwrap();
        settled.read();
        hand.advance(Duration::from_secs(10));
        assert_eq!(settled.read(), second(10));
        hand.set_wall(second(100_000));
        assert_eq!(settled.read(), second(10));
        hand.set_wall(second(5));
        assert_eq!(
            settled.read(),
            second(5),
            "one that goes back is followed at once"
        );
        hand.set_wall(second(10_000_000));
        hand.advance(DOUBT);
        assert!(settled.read() < second(10_000_000));
        hand.advance(Duration::from_secs(1));
        assert_eq!(settled.read(), clock.now());
    }
}
