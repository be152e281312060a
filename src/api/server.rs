//! The gateway that runs.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Where a gateway listens that runs, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// The program's version.
    pub version: String,
    /// `public_url`, with the port that was bound.
    pub public_url: String,
    /// The addresses that speak HTTPS.
    pub https: Vec<SocketAddr>,
    /// The addresses that redirect.
    pub http: Vec<SocketAddr>,
    /// Where proxies that ended TLS ask: addresses, and sockets as `unix:` and a path.
    #[serde(default)]
    pub plain: Vec<String>,
    /// All hosts that it serves, that of `public_url` first; one below each wildcard.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The address of the probes, unless they are off.
    pub ops: Option<SocketAddr>,
    /// The sections that the file says otherwise by now; none if it cannot be read.
    pub changed: Option<Vec<String>>,
    /// What was promised once and the store lost, if it did.
    pub lost_changes: Option<String>,
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// The sections that changed and took effect.
    pub changed: Vec<String>,
    /// The keys and sections that changed and take effect when the gateway is started again.
    pub needs_restart: Vec<String>,
    /// What the operator may not have meant.
    pub warnings: Vec<String>,
}
