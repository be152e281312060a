//! The other end of a connection.

use std::net::IpAddr;

/// From where a request came: the peer of the connection, or whom a trusted proxy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// The client's address; what is limited, recorded and forwarded.
    pub address: IpAddr,
    /// Whether the peer of the connection is in `listen.trusted_proxies`, so that what it says of the request holds.
    pub through_trusted_proxy: bool,
}
