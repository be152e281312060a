//! The `[listen]` section: addresses, sockets and trusted proxies.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::from_text::from_text;

/// Where the gateway listens.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// Addresses that speak HTTPS.
    pub https: Vec<SocketAddr>,
    /// Addresses that speak plain HTTP: they redirect to HTTPS and do nothing else.
    pub http: Vec<SocketAddr>,
    /// Where proxies that ended TLS ask: an address and a port, or `unix:` and the path of a socket. Only
    /// `trusted_proxies` and programs that may open the socket are served, and only requests that they were asked over
    /// HTTPS.
    #[schemars(with = "Vec<String>")]
    pub plain: Vec<PlainAddress>,
    /// Address of `/livez`, `/readyz` and `/metrics`; "" switches them off.
    pub ops: String,
    /// The socket over which commands reach the running gateway.
    pub admin_socket: PathBuf,
    /// Networks whose `X-Forwarded-For`, `-Host`, `-Port`, `-Proto`, `X-Request-Id` or PROXY header is believed.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
}

/// Where a proxy that ended TLS asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainAddress {
    /// An address of this machine.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// A text that is no [`PlainAddress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "neither an address and a port, such as \"127.0.0.1:8080\", nor `unix:` and the path of a socket, of at most 107 bytes"
)]
pub struct PlainAddressError;

impl FromStr for PlainAddress {
    type Err = PlainAddressError;

    fn from_str(text: &str) -> Result<Self, PlainAddressError> {
        let Some(path) = text.strip_prefix("unix:") else {
            return text.parse().map(Self::Tcp).map_err(|_| PlainAddressError);
        };
        let path = if path.starts_with("///") { &path[2..] } else { path };
        if (1..=107).contains(&path.len()) && !path.contains('\0') {
            Ok(Self::Unix(PathBuf::from(path)))
        } else {
            Err(PlainAddressError)
        }
    }
}

impl<'de> Deserialize<'de> for PlainAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a string", str::parse)
    }
}

impl Serialize for PlainAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for PlainAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl ListenConfig {
    /// The addresses of `plain` that are of the network.
    pub fn plain_tcp(&self) -> impl Iterator<Item = SocketAddr> {
        self.plain.iter().filter_map(|address| match address {
            PlainAddress::Tcp(address) => Some(*address),
            PlainAddress::Unix(_) => None,
        })
    }

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
            plain: Vec::new(),
            ops: "127.0.0.1:9464".to_owned(),
            admin_socket: PathBuf::from("data/admin.sock"),
            trusted_proxies: Vec::new(),
        }
    }
}
