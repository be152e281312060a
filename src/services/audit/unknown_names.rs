//! How much of the audit log refusals of unknown names may take up.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::config::AuditConfig;

/// Of all that the log keeps, unknown names may take up an eighth at once, and three eighths more by and by while an
/// event is kept: never more than half.
const EIGHTHS: usize = 3;

/// Anybody can have refusals of unknown names recorded, from however many addresses. They must not push out what was
/// recorded of accounts.
#[derive(Debug)]
pub(super) struct UnknownNames {
    clock: Clock,
    /// The time that an event takes from those after it.
    interval: Duration,
    /// How far ahead of time events may come.
    burst: Duration,
    /// When the next event would come if they came evenly.
    next: Mutex<Duration>,
}

impl UnknownNames {
    pub(super) fn new(config: &AuditConfig, clock: Clock) -> Self {
        let events = (config.max_events / 8).max(1);
        let interval = config.keep.0.as_nanos() / (EIGHTHS * events) as u128;
        let interval = Duration::from_nanos(u64::try_from(interval).unwrap_or(u64::MAX));
        Self {
            clock,
            interval,
            burst: interval.saturating_mul(u32::try_from(events).unwrap_or(u32::MAX)),
            next: Mutex::default(),
        }
    }

    /// Whether the log has room for one more.
    pub(super) fn admit(&self) -> bool {
        let now = self.clock.monotonic();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.max(*next).saturating_add(self.interval);
        let is_admitted = due <= now.saturating_add(self.burst);
        if is_admitted {
            *next = due;
        }
        is_admitted
    }
}
