//! The limit of announcements to administrators that accounts wait for approval.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::WINDOW;
use crate::clock::Clock;

/// Announcements in [`WINDOW`], at most: mass sign-ups do not fill the administrators' mailboxes (S23), nor
/// silence others for longer than that.
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

    /// Returns whether another announcement is allowed, and counts it.
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
