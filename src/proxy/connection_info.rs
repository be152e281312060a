//! What all requests of a connection share, and the client address and request id that follow from it.

use std::sync::Arc;

use http::HeaderMap;

use super::Gateway;
use super::connection_state::ConnectionState;
use super::target_host::Hop;
use crate::config::TlsVersion;
use crate::listener;
use crate::request::{ClientAddress, Host, RequestId, X_REQUEST_ID};

/// Shared by all requests of a connection.
#[derive(Debug)]
pub(super) struct ConnectionInfo {
    /// The other end of the connection.
    pub(super) peer: ClientAddress,
    /// The local port.
    pub(super) port: u16,
    /// The server name (SNI) of the TLS handshake.
    pub(super) sni: Option<Host>,
    /// The version of TLS; none where the peer, a trusted proxy, ended it.
    pub(super) tls: Option<TlsVersion>,
    pub(super) state: Arc<ConnectionState>,
}

impl ConnectionInfo {
    /// Whose word on host and scheme holds.
    pub(super) fn hop(&self) -> Hop {
        match self.tls {
            None => Hop::TlsEnded,
            Some(_) if self.peer.through_trusted_proxy => Hop::TrustedProxy,
            Some(_) => Hop::Client,
        }
    }
}

impl Gateway {
    /// Returns the client's address: the peer's, or the one that a trusted proxy forwards.
    pub(super) fn client(&self, connection: &ConnectionInfo, headers: &HeaderMap) -> ClientAddress {
        listener::forwarded(&connection.peer, headers, &self.trusted)
    }

    /// Returns the request id: a trusted proxy's `X-Request-Id` if it is well-formed, otherwise a new one.
    pub(super) fn request_id(&self, connection: &ConnectionInfo, headers: &HeaderMap) -> RequestId {
        let given = || {
            let value = headers.get(X_REQUEST_ID)?;
            RequestId::parse(value.as_bytes())
        };
        connection
            .peer
            .through_trusted_proxy
            .then(given)
            .flatten()
            .unwrap_or_else(|| self.ids.next())
    }
}
