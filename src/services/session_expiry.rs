//! When sessions expire: unused for `session.idle`, older than `session.absolute`, or with the access key that
//! they were started with.

use jiff::Timestamp;

use super::dual_time::{DualTime, millis, timestamp};
use crate::config::SessionConfig;
use crate::model::Session;

/// The lifetimes of sessions, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionLimits {
    idle: i64,
    absolute: i64,
    /// When the access key expires that the session was started with.
    key: Option<DualTime>,
}

impl SessionLimits {
    pub(super) fn new(config: &SessionConfig) -> Self {
        Self {
            idle: millis(config.idle.0),
            absolute: millis(config.absolute.0),
            key: None,
        }
    }

    /// Limits for a session that was started with an access key that expires at `key`.
    pub(super) fn with_key(self, key: Option<DualTime>) -> Self {
        Self { key, ..self }
    }

    /// Returns when a session expires unless it is used, by the monotonic clock, as `began` and `last_seen` are.
    pub(super) fn end(self, began: i64, last_seen: i64) -> i64 {
        let absolute = began.saturating_add(self.absolute);
        let key = self.key.map_or(i64::MAX, DualTime::elapsed_ms);
        last_seen.saturating_add(self.idle).min(absolute).min(key)
    }

    /// Returns when a session expires however much it is used, by the wall clock.
    pub(super) fn latest_end(self, session: &Session) -> Timestamp {
        let absolute = session.created_at.as_millisecond().saturating_add(self.absolute);
        let key = self.key.map_or(i64::MAX, |end| end.wall().as_millisecond());
        timestamp(absolute.min(key))
    }

    /// Returns the start before which a session is over by its absolute lifetime.
    pub(super) fn oldest(self, now: Timestamp) -> Timestamp {
        timestamp(now.as_millisecond().saturating_sub(self.absolute))
    }
}
