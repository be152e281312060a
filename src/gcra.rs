//! The generic cell rate algorithm (GCRA).

use std::time::Duration;

/// A rate limit with a burst. The state of a sequence of events is one time: when the next event would be due
/// if they came evenly (the generic cell rate algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// The time between events at the sustained rate.
    interval: Duration,
    /// How far ahead of that rate events may come.
    burst: Duration,
}

impl Gcra {
    /// Allows a burst of `at_once` events and a sustained rate of `by_and_by` events a `period`; each at
    /// least 1.
    pub(crate) fn new(at_once: usize, by_and_by: usize, period: Duration) -> Self {
        let interval = period.as_nanos() / by_and_by.max(1) as u128;
        let interval = Duration::from_nanos(u64::try_from(interval).unwrap_or(u64::MAX));
        let at_once = u32::try_from(at_once.max(1)).unwrap_or(u32::MAX);
        Self {
            interval,
            burst: interval.saturating_mul(at_once),
        }
    }

    /// Admits an event at `now` and advances `next`, or returns the time to wait. A sequence starts with
    /// [`Duration::ZERO`], and starts over once `next` is past.
    pub(crate) fn admit(self, next: &mut Duration, now: Duration) -> Result<(), Duration> {
        let due = now.max(*next).saturating_add(self.interval);
        let latest = now.saturating_add(self.burst);
        if due > latest {
            return Err(due.saturating_sub(latest));
        }
        *next = due;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn so_many_pass_at_once_and_then_one_each_interval() {
        let allowance = Gcra::new(3, 6, 60 * MINUTE);
        let (mut next, now) = (Duration::ZERO, 90 * MINUTE);
        for _ in 0..3 {
            assert_eq!(allowance.admit(&mut next, now), Ok(()));
        }
        assert_eq!(allowance.admit(&mut next, now), Err(10 * MINUTE));
        assert_eq!(allowance.admit(&mut next, now + 9 * MINUTE), Err(MINUTE));
        assert_eq!(allowance.admit(&mut next, now + 10 * MINUTE), Ok(()));
        assert_eq!(allowance.admit(&mut next, now + 10 * MINUTE), Err(10 * MINUTE));
        let later = now + 1000 * MINUTE;
        assert!(next < later, "like a new one");
        for _ in 0..3 {
            assert_eq!(allowance.admit(&mut next, later), Ok(()));
        }
        assert!(allowance.admit(&mut next, later).is_err());
    }

    #[test]
    fn there_is_always_room_for_one() {
        let allowance = Gcra::new(0, 0, MINUTE);
        let mut next = Duration::ZERO;
        assert_eq!(allowance.admit(&mut next, Duration::ZERO), Ok(()));
        assert_eq!(allowance.admit(&mut next, Duration::ZERO), Err(MINUTE));
    }
}
