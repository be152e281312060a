//! So many at once, and more by and by.

use std::time::Duration;

/// An allowance for what may come at any rate, without a count of what came: all that is kept of a sequence of events is
/// when its next one would be due if they came evenly (the generic cell rate algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gcra {
    /// The time that an event takes from those after it.
    interval: Duration,
    /// How far ahead of time events may come.
    burst: Duration,
}

impl Gcra {
    /// `at_once` events, and `by_and_by` more evenly over each `period`. Of either there is at least one.
    pub(super) fn new(at_once: usize, by_and_by: usize, period: Duration) -> Self {
        let interval = period.as_nanos() / by_and_by.max(1) as u128;
        let interval = Duration::from_nanos(u64::try_from(interval).unwrap_or(u64::MAX));
        let at_once = u32::try_from(at_once.max(1)).unwrap_or(u32::MAX);
        Self {
            interval,
            burst: interval.saturating_mul(at_once),
        }
    }

    /// Admits an event at `now` and moves `next` on, or says how long it would have to wait. A sequence begins with
    /// [`Duration::ZERO`], and is like a new one once `next` is past.
    pub(super) fn admit(self, next: &mut Duration, now: Duration) -> Result<(), Duration> {
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
