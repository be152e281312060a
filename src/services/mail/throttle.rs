//! How often administrators are told that somebody waits.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::WINDOW;
use crate::clock::Clock;

/// In [`WINDOW`]: whoever makes many accounts does not fill the administrators' mailboxes (S23), and silences nobody for
/// longer than that.
pub(in crate::services) const ANNOUNCED: usize = 20;

/// The announcements of the last [`WINDOW`].
#[derive(Debug)]
pub(super) struct AnnouncementThrottle {
    clock: Clock,
    made: Mutex<VecDeque<Duration>>,
}

impl AnnouncementThrottle {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            made: Mutex::default(),
        }
    }

    /// Whether there may be one more, which then counts.
    pub(super) fn admit(&self) -> bool {
        let now = self.clock.monotonic();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        while made.front().is_some_and(|at| now.saturating_sub(*at) >= WINDOW) {
            made.pop_front();
        }
        let admitted = made.len() < ANNOUNCED;
        if admitted {
            made.push_back(now);
        }
        admitted
    }
}
