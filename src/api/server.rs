//! The running gateway as JSON.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Where a gateway listens, and its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// The program's version.
    pub version: String,
    /// `public_url`, with the port that was bound.
    pub public_url: String,
    /// The HTTPS addresses.
    pub https: Vec<SocketAddr>,
    /// The addresses that redirect to HTTPS.
    pub http: Vec<SocketAddr>,
    /// Where proxies that ended TLS ask: addresses, and sockets as `unix:` and a path.
    #[serde(default)]
    pub plain: Vec<String>,
    /// All hosts that it serves, that of `public_url` first; one below each wildcard.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The address of the ops listener, unless it is off.
    pub ops: Option<SocketAddr>,
    /// Sections in which the file differs from the running configuration; `None` if it cannot be read.
    pub changed: Option<Vec<String>>,
    /// Changes that the store acknowledged and lost, described; `None` if there are none.
    pub lost_changes: Option<String>,
}

/// The result of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Sections that changed and are in effect.
    pub changed: Vec<String>,
    /// Keys and sections that changed and take effect at a restart.
    pub needs_restart: Vec<String>,
    /// What the operator may not have meant.
    pub warnings: Vec<String>,
}
