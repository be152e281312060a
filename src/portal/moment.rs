//! Moments, for people.

use jiff::Timestamp;

/// To the minute, UTC.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
