//! Dates in the form of AWS signatures: `20150830T123600Z`.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use crate::authenticate::signature::SignatureError;

/// Length of the text, in bytes.
const LENGTH: usize = 16;

/// A point in time with its canonical text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AmzDate {
    text: [u8; LENGTH],
    time: Timestamp,
}

impl AmzDate {
    /// Parses `X-Amz-Date`.
    pub(super) fn parse(text: &str) -> Result<Self, SignatureError> {
        read(text).ok_or(SignatureError::Malformed("the date is not like 20150830T123600Z"))
    }

    /// Parses `Date`: an HTTP date (RFC 9110, section 5.6.7), or the form of `X-Amz-Date`.
    pub(super) fn parse_http(text: &str) -> Result<Self, SignatureError> {
        if let Some(date) = read(text) {
            return Ok(date);
        }
        let time = jiff::fmt::rfc2822::parse(text).map(|date| date.timestamp());
        let spelled = time.map(|time| time.strftime("%Y%m%dT%H%M%SZ").to_string());
        spelled
            .ok()
            .and_then(|text| read(&text))
            .ok_or(SignatureError::Malformed("the Date header is not a date"))
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Returns the day: `20150830`.
    pub(super) fn day(&self) -> &str {
        self.as_str().get(..8).unwrap_or_default()
    }

    pub(super) fn time(&self) -> Timestamp {
        self.time
    }
}

fn read(text: &str) -> Option<AmzDate> {
    let text: [u8; LENGTH] = text.as_bytes().try_into().ok()?;
    if text[8] != b'T' || text[15] != b'Z' {
        return None;
    }
    let two = |at: usize| -> Option<i8> { i8::try_from(number(text.get(at..at + 2)?)?).ok() };
    let date = Date::new(number(&text[..4])?, two(4)?, two(6)?).ok()?;
    let time = Time::new(two(9)?, two(11)?, two(13)?, 0).ok()?;
    let time = Offset::UTC.to_timestamp(date.to_datetime(time)).ok()?;
    Some(AmzDate { text, time })
}

fn number(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| i16::from(digit - b'0'))?;
        Some(number * 10 + digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_one_spelling() {
        let date = AmzDate::parse("20150830T123600Z").unwrap();
        assert_eq!(date.time().to_string(), "2015-08-30T12:36:00Z");
        assert_eq!((date.as_str(), date.day()), ("20150830T123600Z", "20150830"));
        assert_eq!(AmzDate::parse_http("Sun, 30 Aug 2015 12:36:00 GMT"), Ok(date));
        assert_eq!(AmzDate::parse_http("20150830T123600Z"), Ok(date));
        for text in [
            "",
            "20150830T123600",
            "20150830T1236000",
            "2015-08-30T12:36",
            "20151330T123600Z",
            "20150832T123600Z",
            "20150830T250000Z",
            "+0150830T123600Z",
            "2015083 T123600Z",
        ] {
            assert!(AmzDate::parse(text).is_err(), "{text}");
        }
        assert!(AmzDate::parse_http("yesterday").is_err());
    }
}
