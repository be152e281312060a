//! How long links work that this process made, whatever the wall clock is set to meanwhile.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::model::TokenDigest;

/// Those that are over are forgotten whenever there are so many more.
const ROOM: usize = 1024;

/// One that is over for so long is over by any clock that was not more ahead when it was made.
const REMEMBERED: Duration = Duration::from_hours(24);

/// When links end by the monotonic clock. Those from before a restart end by the wall clock alone.
#[derive(Debug)]
pub(super) struct LinkLifetimes {
    clock: Clock,
    ends: Mutex<Ends>,
}

#[derive(Debug)]
struct Ends {
    by_token: HashMap<TokenDigest, Duration>,
    /// How many there may be before it is looked which are over.
    room: usize,
}

impl LinkLifetimes {
    pub(super) fn new(clock: Clock) -> Self {
        let ends = Ends {
            by_token: HashMap::new(),
            room: ROOM,
        };
        Self {
            clock,
            ends: Mutex::new(ends),
        }
    }

    /// A link is made that works for so long.
    pub(super) fn begin(&self, token: TokenDigest, lasts: Duration) {
        let now = self.clock.monotonic();
        let mut ends = self.ends();
        ends.by_token.insert(token, now.saturating_add(lasts));
        if ends.by_token.len() > ends.room {
            ends.by_token
                .retain(|_, end| now < end.saturating_add(REMEMBERED));
            ends.room = ends.by_token.len() + ROOM;
        }
    }

    /// Whether a link does not work any more, if this process made it.
    pub(super) fn is_over(&self, token: &TokenDigest) -> Option<bool> {
        let end = self.ends().by_token.get(token).copied()?;
        Some(end <= self.clock.monotonic())
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
