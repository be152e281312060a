//! `[timeouts]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Period;

/// How long the gateway waits.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutsConfig {
    /// For a TLS handshake, from the first byte to the last.
    pub handshake: Period,
    /// For the whole head of a request.
    pub header: Period,
    /// For the next request on a connection that is kept open.
    pub keep_alive: Period,
    /// For a connection to an application.
    pub connect: Period,
    /// For the head of an application's answer.
    pub response: Period,
    /// For the next byte of an application's body, in either direction. Such a body may be as slow as that: only what
    /// the gateway itself reads, forms and signed bodies, must come at 6 kB a second once ten seconds are over.
    pub idle: Period,
    /// For requests under way when the gateway is told to stop.
    pub drain: Period,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self {
            handshake: Period(Duration::from_secs(10)),
            header: Period(Duration::from_secs(10)),
            keep_alive: Period(Duration::from_secs(75)),
            connect: Period(Duration::from_secs(5)),
            response: Period(Duration::from_mins(1)),
            idle: Period(Duration::from_mins(5)),
            drain: Period(Duration::from_secs(30)),
        }
    }
}
