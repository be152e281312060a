//! The `[listen]` section: addresses, sockets and trusted proxies.

use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where the gateway listens.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// Addresses that speak HTTPS.
    pub https: Vec<SocketAddr>,
    /// Addresses that speak plain HTTP: they redirect to HTTPS and do nothing else.
    pub http: Vec<SocketAddr>,
    /// Address of `/livez`, `/readyz` and `/metrics`; "" switches them off.
    pub ops: String,
    /// The socket over which commands reach the running gateway.
    pub admin_socket: PathBuf,
    /// Networks whose `X-Forwarded-For`, `-Host`, `-Port`, `-Proto`, `X-Request-Id` or PROXY header is believed.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
}

impl ListenConfig {
    /// Returns the address of `ops`; `None` if it is off. Never fails after
    /// [`Config::load`](super::Config::load).
    pub fn ops_address(&self) -> Result<Option<SocketAddr>, AddrParseError> {
        (!self.ops.is_empty()).then(|| self.ops.parse()).transpose()
    }
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            https: vec![SocketAddr::from(([127, 0, 0, 1], 8443))],
            http: Vec::new(),
            ops: "127.0.0.1:9464".to_owned(),
            admin_socket: PathBuf::from("data/admin.sock"),
            trusted_proxies: Vec::new(),
        }
    }
}
