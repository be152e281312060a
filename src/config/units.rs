//! Durations and sizes as strings: "20m", "10MiB".

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::from_text::from_text;

/// A duration, written like "90s", "20m", "12h" or "7d".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct HumanDuration(pub Duration);

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a duration such as \"12h\"", |text| {
            Self::try_from(text.to_owned())
        })
    }
}

impl TryFrom<String> for HumanDuration {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        humantime::parse_duration(&text)
            .map(Self)
            .map_err(|_| "not a duration such as \"90s\", \"20m\", \"12h\" or \"7d\"".to_owned())
    }
}

impl From<HumanDuration> for String {
    fn from(period: HumanDuration) -> Self {
        period.to_string()
    }
}

impl fmt::Display for HumanDuration {
    /// Formats in the largest unit without a remainder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if self.0.subsec_nanos() != 0 {
            return write!(f, "{}", humantime::format_duration(self.0));
        }
        for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60)] {
            if seconds > 0 && seconds.is_multiple_of(length) {
                return write!(f, "{}{unit}", seconds / length);
            }
        }
        write!(f, "{seconds}s")
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A length of time: \"90s\", \"20m\", \"12h\", \"7d\"." })
    }
}

/// A size in bytes, written like "64KiB" or "10MiB".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a size such as \"64KiB\"", |text| {
            Self::try_from(text.to_owned())
        })
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse::<bytesize::ByteSize>()
            .map(|size| Self(size.as_u64()))
            .map_err(|_| "not a size such as \"64KiB\" or \"10MiB\"".to_owned())
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

impl fmt::Display for Size {
    /// Formats in the largest unit without a remainder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, length) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 > 0 && self.0.is_multiple_of(length) {
                return write!(f, "{}{unit}", self.0 / length);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A number of bytes: \"64KiB\", \"10MiB\"." })
    }
}

/// A number of requests in a time, written like "20/s", "600/m" or "5000/h".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct RequestRate {
    /// The number, at least 1. So many may come at once.
    pub count: u32,
    /// The time in which so many may come again.
    pub period: Duration,
}

impl<'de> Deserialize<'de> for RequestRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a rate such as \"20/s\"", |text| {
            Self::try_from(text.to_owned())
        })
    }
}

/// The units of a rate.
const PERIODS: [(&str, Duration); 3] = [
    ("s", Duration::from_secs(1)),
    ("m", Duration::from_mins(1)),
    ("h", Duration::from_hours(1)),
];

impl TryFrom<String> for RequestRate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.split_once('/');
        let rate = parts.and_then(|(count, unit)| {
            let count = count.trim().parse().ok().filter(|count| *count > 0)?;
            let (_, period) = PERIODS.iter().find(|(name, _)| *name == unit.trim())?;
            Some(Self {
                count,
                period: *period,
            })
        });
        rate.ok_or_else(|| "not a rate such as \"20/s\", \"600/m\" or \"5000/h\"".to_owned())
    }
}

impl From<RequestRate> for String {
    fn from(rate: RequestRate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for RequestRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = PERIODS.iter().find(|(_, period)| *period == self.period);
        write!(f, "{}/{}", self.count, unit.map_or("s", |(unit, _)| unit))
    }
}

impl JsonSchema for RequestRate {
    fn schema_name() -> Cow<'static, str> {
        "RequestRate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A number of requests in a time: \"20/s\", \"600/m\", \"5000/h\"." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_they_are_written() {
        for text in ["0s", "90s", "20m", "12h", "7d", "1500ms", "1s 500ms"] {
            let period = HumanDuration::try_from(text.to_owned()).unwrap();
            assert_eq!(HumanDuration::try_from(period.to_string()), Ok(period), "{text}");
        }
        assert_eq!(HumanDuration(Duration::from_hours(168)).to_string(), "7d");
        assert_eq!(HumanDuration(Duration::from_secs(90)).to_string(), "90s");
        for text in ["", "20", "20 bananas", "-1s"] {
            assert!(HumanDuration::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_shown_as_they_are_written() {
        for text in ["1/s", "20/s", "600/m", "5000/h"] {
            assert_eq!(RequestRate::try_from(text.to_owned()).unwrap().to_string(), text);
        }
        for text in ["", "20", "0/s", "-1/s", "20/d", "20/", "/s", "1.5/s"] {
            assert!(RequestRate::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_as_they_are_written() {
        for text in ["0B", "1B", "64KiB", "10MiB", "2GiB"] {
            assert_eq!(Size::try_from(text.to_owned()).unwrap().to_string(), text);
        }
        for text in ["", "big", "-1KiB"] {
            assert!(Size::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
