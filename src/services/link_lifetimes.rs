//! Monotonic lifetimes of the links that this process issued, immune to changes of the wall clock.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;

/// How many entries may be added between sweeps of expired ones.
const ROOM: usize = 1024;

/// How long an entry is kept after its link expired. By then the wall clock agrees, unless it was further
/// ahead when the link was issued.
const REMEMBERED: Duration = Duration::from_hours(24);

/// When links expire by the monotonic clock. Links from before a restart expire by the wall clock alone.
#[derive(Debug)]
pub(super) struct LinkLifetimes<K> {
    clock: Clock,
    ends: Mutex<Ends<K>>,
}

#[derive(Debug)]
struct Ends<K> {
    by_link: HashMap<K, Duration>,
    /// The number of entries at which expired ones are swept.
    room: usize,
}

impl<K: Eq + Hash> LinkLifetimes<K> {
    pub(super) fn new(clock: Clock) -> Self {
        let ends = Ends {
            by_link: HashMap::new(),
            room: ROOM,
        };
        Self {
            clock,
            ends: Mutex::new(ends),
        }
    }

    /// Starts the lifetime of a link.
    pub(super) fn begin(&self, link: K, lasts: Duration) {
        let now = self.clock.monotonic();
        let mut ends = self.ends();
        ends.by_link.insert(link, now.saturating_add(lasts));
        if ends.by_link.len() > ends.room {
            ends.by_link.retain(|_, end| now < end.saturating_add(REMEMBERED));
            ends.room = ends.by_link.len() + ROOM;
        }
    }

    /// Returns the current time for a link that expires at `expires_at`: earlier than that by its remaining
    /// monotonic lifetime. `None` if this process did not issue it.
    pub(super) fn now_for(&self, link: &K, expires_at: Timestamp) -> Option<Timestamp> {
        let end = self.ends().by_link.get(link).copied()?;
        let left = end.saturating_sub(self.clock.monotonic());
        Some(expires_at.checked_sub(left).unwrap_or(Timestamp::MIN))
    }

    fn ends(&self) -> MutexGuard<'_, Ends<K>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
