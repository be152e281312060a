//! The `[timeouts]` section.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::HumanDuration;

/// How long the gateway waits.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutsConfig {
    /// For a TLS handshake, from the first byte to the last.
    pub handshake: HumanDuration,
    /// For the whole head of a request.
    pub header: HumanDuration,
    /// For the next request on a connection that is kept open.
    pub keep_alive: HumanDuration,
    /// For a connection to an application.
    pub connect: HumanDuration,
    /// For the head of an application's answer.
    pub response: HumanDuration,
    /// For the next byte of an application's body, in either direction. Such a body may be as slow as that: only what
    /// the gateway itself reads, forms and signed bodies, must come at 6 kB a second once ten seconds are over.
    pub idle: HumanDuration,
    /// For requests under way when the gateway is told to stop.
    pub drain: HumanDuration,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self {
            handshake: HumanDuration(Duration::from_secs(10)),
            header: HumanDuration(Duration::from_secs(10)),
            keep_alive: HumanDuration(Duration::from_secs(75)),
            connect: HumanDuration(Duration::from_secs(5)),
            response: HumanDuration(Duration::from_mins(1)),
            idle: HumanDuration(Duration::from_mins(5)),
            drain: HumanDuration(Duration::from_secs(30)),
        }
    }
}

/// The timeouts of the requests to a route, where they differ from those of its upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteTimeouts {
    /// For the head of the application's answer.
    pub response: Option<HumanDuration>,
    /// For the next byte of a body, from the application or from the client. A client that takes nothing has the general one.
    pub idle: Option<HumanDuration>,
}

/// The timeouts of an upstream, where they differ from those of `[timeouts]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamTimeouts {
    /// For a connection to one of its servers.
    pub connect: Option<HumanDuration>,
    /// For the head of its answer.
    pub response: Option<HumanDuration>,
    /// For the next byte of a body, from it or from the client. A client that takes nothing has the general one.
    pub idle: Option<HumanDuration>,
}
