//! Upstreams and their servers, as JSON.

use serde::{Deserialize, Serialize};

use crate::config::Balance;
use crate::upstream::{ServerState, UpstreamStatus};

/// An upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamView {
    /// Its name, or the URL of its only server.
    pub name: String,
    /// How its servers are chosen.
    pub balance: Balance,
    /// The most connections at one time.
    pub max_connections: usize,
    /// Its servers, in the order of the configuration.
    pub servers: Vec<UpstreamServerView>,
}

/// A server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamServerView {
    /// Its URL.
    pub url: String,
    /// Whether it gets requests.
    pub state: ServerState,
    /// Its share beside those of the others.
    pub weight: u16,
    /// Requests under way, tunnels and unfinished answers included.
    pub active_request_count: usize,
}

/// Upstreams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamList {
    /// The upstreams, in the order of the routes that lead to them.
    pub upstreams: Vec<UpstreamView>,
}

impl From<Vec<UpstreamStatus>> for UpstreamList {
    fn from(upstreams: Vec<UpstreamStatus>) -> Self {
        let view = |upstream: UpstreamStatus| UpstreamView {
            name: upstream.name,
            balance: upstream.balance,
            max_connections: upstream.max_connections,
            servers: upstream
                .servers
                .into_iter()
                .map(|server| UpstreamServerView {
                    url: server.url,
                    state: server.state,
                    weight: server.weight,
                    active_request_count: server.active_requests,
                })
                .collect(),
        };
        Self {
            upstreams: upstreams.into_iter().map(view).collect(),
        }
    }
}
