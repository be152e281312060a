//! What the lines of all logs have in common: the names of their first fields, and the form of the time.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Which log a line belongs to: several may go to one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogName {
    /// Authentication events and acts of administrators.
    Audit,
    /// Requests.
    Access,
    /// What the gateway says of itself.
    Gateway,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Something does not work.
    Error,
    /// Something works that may not go on to, or was refused.
    Warn,
    /// Something happened.
    Info,
    /// For whoever looks for a fault.
    Debug,
    /// All of it.
    Trace,
}

/// How every line begins. What is not known is `null`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LineHead<'a, C = IpAddr> {
    /// When.
    pub time: LogTime,
    /// In which log.
    pub log: LogName,
    /// How much it matters.
    pub level: LogLevel,
    /// The request that it is about.
    pub request_id: Option<&'a str>,
    /// The client's address.
    pub client: Option<C>,
    /// Whom it is about.
    pub user: Option<&'a str>,
}

/// A time in UTC as RFC 3339 has it, of one width, so that lines sort as text.
#[derive(Clone, Copy, Debug)]
pub struct LogTime(pub Timestamp);

impl Serialize for LogTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.6}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_begins_alike_and_times_have_one_width() {
        for (time, written) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
            ("2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.100000Z"),
            ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456Z"),
        ] {
            let head = LineHead {
                time: LogTime(time.parse().unwrap()),
                log: LogName::Access,
                level: LogLevel::Info,
                request_id: Some("a1"),
                client: Some(IpAddr::from([203, 0, 113, 9])),
                user: None,
            };
            assert_eq!(
                serde_json::to_string(&head).unwrap(),
                format!(
                    "{{\"time\":\"{written}\",\"log\":\"access\",\"level\":\"info\",\"request_id\":\"a1\",\
                     \"client\":\"203.0.113.9\",\"user\":null}}"
                )
            );
        }
    }
}
