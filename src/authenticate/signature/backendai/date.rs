//! The signed date, in any of the forms that clients send.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::Offset;

/// A date as it was sent, and its value.
#[derive(Clone, Debug)]
pub(super) struct Date<'a> {
    text: &'a str,
    time: Timestamp,
    /// In the offset that the date names.
    day: String,
}

impl<'a> Date<'a> {
    /// Parses ISO 8601, with or without offset, or an HTTP date (RFC 9110, section 5.6.7).
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (local, offset) = iso(text).or_else(|| http(text))?;
        Some(Self {
            text,
            time: offset.to_timestamp(local).ok()?,
            day: local.date().strftime("%Y%m%d").to_string(),
        })
    }

    /// Returns the date as it was sent, which is what is signed.
    pub(super) fn as_str(&self) -> &'a str {
        self.text
    }

    pub(super) fn time(&self) -> Timestamp {
        self.time
    }

    pub(super) fn day(&self) -> &str {
        &self.day
    }
}

fn iso(text: &str) -> Option<(DateTime, Offset)> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = match pieces.offset() {
        None | Some(PiecesOffset::Zulu) => Offset::UTC,
        Some(PiecesOffset::Numeric(numeric)) => numeric.offset(),
        Some(_) => return None,
    };
    Some((pieces.date().to_datetime(pieces.time()?), offset))
}

fn http(text: &str) -> Option<(DateTime, Offset)> {
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some((date.datetime(), date.offset()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_that_of_the_dates_own_offset() {
        let read = |text| Date::parse(text).map(|date| (date.time().to_string(), date.day().to_owned()));
        let found = |time: &str, day: &str| Some((time.to_owned(), day.to_owned()));
        assert_eq!(
            read("2026-09-01T03:04:05.678901+00:00"),
            found("2026-09-01T03:04:05.678901Z", "20260901")
        );
        assert_eq!(
            read("2026-09-01T03:04:05+09:00"),
            found("2026-08-31T18:04:05Z", "20260901")
        );
        assert_eq!(
            read("20260901T030405Z"),
            found("2026-09-01T03:04:05Z", "20260901")
        );
        assert_eq!(
            read("2026-09-01 03:04:05"),
            found("2026-09-01T03:04:05Z", "20260901")
        );
        assert_eq!(
            read("Tue, 01 Sep 2026 03:04:05 GMT"),
            found("2026-09-01T03:04:05Z", "20260901")
        );
        assert_eq!(read("2026-09-01"), None);
        assert_eq!(read("soon"), None);
    }
}
