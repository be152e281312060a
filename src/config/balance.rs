//! How requests are shared among the servers of an upstream, and which of them get any.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HumanDuration;

/// The strategy by which a server is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Each in turn, as often as its weight says.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way for its weight.
    LeastLoaded,
    /// The same one for a session, or for a client's address where there is no session.
    Hash,
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoundRobin => "round-robin",
            Self::LeastLoaded => "least-loaded",
            Self::Hash => "hash",
        })
    }
}

/// When a server of an upstream gets requests.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HealthConfig {
    /// What is asked for (GET) in a check: a path that answers fast. Default: a server is sound if it accepts a connection.
    #[schemars(extend("examples" = ["/healthz"]))]
    pub path: Option<String>,
    /// Statuses of a sound server. Default: any from 200 to 399.
    #[schemars(extend("examples" = [[200, 204]], "default" = []))]
    pub status: Vec<u16>,
    /// Time between two checks.
    pub interval: HumanDuration,
    /// How long a check may take. Default: `timeouts.connect`.
    pub timeout: Option<HumanDuration>,
    /// Good checks, one after another, until a server that was down gets requests again.
    pub rise: u16,
    /// Failed checks, one after another, until a server is down.
    pub fall: u16,
    /// Requests, one after another, that a server fails to answer until others are preferred for a while.
    pub failures: u16,
    /// Time in which a server that is there again gets more and more of its share, so that it does not fall over its first
    /// requests. Not with `balance = "hash"`.
    pub slow_start: HumanDuration,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            path: None,
            status: Vec::new(),
            interval: HumanDuration(Duration::from_secs(5)),
            timeout: None,
            rise: 1,
            fall: 1,
            failures: 1,
            slow_start: HumanDuration(Duration::ZERO),
        }
    }
}
