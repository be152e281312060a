//! How long links work that this process made, whatever the wall clock is set to meanwhile.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;

/// Those that are over are forgotten whenever there are so many more.
const ROOM: usize = 1024;

/// One that is over for so long is over by any clock that was not more ahead when it was made.
const REMEMBERED: Duration = Duration::from_hours(24);

/// When links end by the monotonic clock. Those from before a restart end by the wall clock alone.
#[derive(Debug)]
pub(super) struct LinkLifetimes<K> {
    clock: Clock,
    ends: Mutex<Ends<K>>,
}

#[derive(Debug)]
struct Ends<K> {
    by_link: HashMap<K, Duration>,
    /// How many there may be before it is looked which are over.
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

    /// A link is made that works for so long.
    pub(super) fn begin(&self, link: K, lasts: Duration) {
        let now = self.clock.monotonic();
        let mut ends = self.ends();
        ends.by_link.insert(link, now.saturating_add(lasts));
        if ends.by_link.len() > ends.room {
            ends.by_link.retain(|_, end| now < end.saturating_add(REMEMBERED));
            ends.room = ends.by_link.len() + ROOM;
        }
    }

    /// The moment that it is now for a link that ends at `expires_at`, if this process made it: so long before its end as
    /// it still lasts.
    pub(super) fn now_for(&self, link: &K, expires_at: Timestamp) -> Option<Timestamp> {
        let end = self.ends().by_link.get(link).copied()?;
        let left = end.saturating_sub(self.clock.monotonic());
        Some(expires_at.checked_sub(left).unwrap_or(Timestamp::MIN))
    }

    fn ends(&self) -> MutexGuard<'_, Ends<K>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
