//! What a request says about itself and where it came from. Pure: nothing here knows an account or a route.

mod copy_source;
mod decimal;
mod header_name;
mod host;
mod id;
mod network;
mod origin;

use std::net::IpAddr;

use http::header::USER_AGENT;
use http::{HeaderMap, Method};

pub use copy_source::{CopySource, Extent, SourceForm, names_second_resource};
pub use decimal::{is_decimal, parse_decimal};
pub use header_name::{fold, is_plain, reads_as};
pub use host::{Host, HostError, port_of};
pub use id::{RequestId, RequestIds, X_REQUEST_ID};
pub use network::Network;
pub use origin::{CrossOrigin, require_same_origin};

/// From where a request came: the peer of the connection, or whom a trusted proxy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// The client's address; what is limited, recorded and forwarded.
    pub address: IpAddr,
    /// Whether the peer of the connection is in `listen.trusted_proxies`, so that what it says of the request holds.
    pub through_trusted_proxy: bool,
}

/// A borrowed view of one request's head. Every stage judges the same bytes: those that were sent.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The host that was asked for, without its port.
    pub host: &'a Host,
    /// The scheme that the client used: `https`, unless a trusted proxy says otherwise.
    pub scheme: &'static str,
    /// The host and port as sent (`Host` or `:authority`), or as a trusted proxy says that they were sent to it.
    pub authority: &'a str,
    /// The path, exactly as sent.
    pub path: &'a str,
    /// The query, exactly as sent, without its `?`.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// Who is at the other end of the connection.
    pub client: &'a ClientAddress,
    /// The name of this request in answers and in the record.
    pub id: RequestId,
}

impl<'a> RequestHead<'a> {
    /// What the client calls itself; "" if it does not, or not in ASCII.
    pub fn user_agent(&self) -> &'a str {
        let agent = self.headers.get(USER_AGENT);
        agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default()
    }
}
