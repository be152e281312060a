//! Facts about a request that need no account and no route: head, host, id, client address, origin.

mod archive;
mod copy_source;
mod decimal;
mod header_name;
mod host;
mod id;
mod impersonation;
mod method_override;
mod network;
mod origin;
mod server_function;

use std::net::IpAddr;

use http::header::USER_AGENT;
use http::{HeaderMap, Method};

pub use archive::unpacks_archive;
pub use copy_source::{CopySource, Extent, SourceForm, names_second_resource};
pub use decimal::{is_decimal, parse_decimal};
pub use header_name::{after_letters, begins_as, fold, is_plain, reads_as, words};
pub use host::{Host, HostError, port_of};
pub use id::{RequestId, RequestIds, X_REQUEST_ID};
pub use impersonation::acts_for_others;
pub use method_override::overrides_method;
pub use network::Network;
pub use origin::{CrossOrigin, is_origin, require_same_origin};
pub use server_function::{Choice, PAGES, chooses_beside_path};

/// The client's address, and whether it came through a trusted proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// The client's address, which is limited, logged and forwarded.
    pub address: IpAddr,
    /// Whether the peer is in `listen.trusted_proxies`, so that its forwarding headers are trusted.
    pub through_trusted_proxy: bool,
    /// Whether `address` is the client's own, and not that of a trusted proxy that names none.
    pub is_known: bool,
}

impl ClientAddress {
    /// The address, if it is the client's own.
    pub fn known(&self) -> Option<IpAddr> {
        Some(self.address).filter(|_| self.is_known)
    }
}

/// A borrowed view of a request head. All stages evaluate the same bytes, as they were sent.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The effective host, without a port.
    pub host: &'a Host,
    /// The scheme that the client used: `https`, unless a trusted proxy forwards another.
    pub scheme: &'static str,
    /// Host and port as sent (`Host` or `:authority`), or as a trusted proxy forwards them.
    pub authority: &'a str,
    /// The path, exactly as sent.
    pub path: &'a str,
    /// The query, exactly as sent, without its `?`.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The client.
    pub client: &'a ClientAddress,
    /// The request id.
    pub id: RequestId,
}

impl<'a> RequestHead<'a> {
    /// Returns `User-Agent`; empty if it is missing or not ASCII.
    pub fn user_agent(&self) -> &'a str {
        let agent = self.headers.get(USER_AGENT);
        agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default()
    }
}
