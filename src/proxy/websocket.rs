//! WebSocket: the one upgrade that is passed on (S46).

use std::io;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio_util::sync::CancellationToken;

use super::hop_by_hop::tokens;
use crate::authenticate::Proof;

/// Whether a request asks for a WebSocket (RFC 6455, section 4.1).
pub(super) fn is_asked_for(method: &Method, version: Version, headers: &HeaderMap) -> bool {
    *method == Method::GET
        && version == Version::HTTP_11
        && names(headers, &UPGRADE, "websocket")
        && names(headers, &CONNECTION, "upgrade")
}

/// Whether an answer, with status 101, begins one.
pub(super) fn is_begun(headers: &HeaderMap) -> bool {
    names(headers, &UPGRADE, "websocket")
}

/// Says that the connection becomes one; after the headers of the old connection were removed.
pub(super) fn say(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Ties two connections together until one of them, the session, the access key or the gateway ends.
pub(super) async fn tunnel(
    client: OnUpgrade,
    upstream: OnUpgrade,
    proof: Option<Proof>,
    stop: CancellationToken,
) -> io::Result<Carried> {
    let (client, upstream) = tokio::try_join!(client, upstream).map_err(io::Error::other)?;
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    let proof_ends = async {
        match proof {
            Some(proof) => proof.ended().cancelled_owned().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        copied = copy_bidirectional(&mut client, &mut upstream) => {
            copied.map(|(_, to_client)| Carried { to_client })
        }
        () = proof_ends => Err(io::Error::other("the session has ended")),
        () = stop.cancelled() => Err(io::Error::other("the gateway stops")),
    }
}

/// What went through a tunnel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carried {
    /// Bytes to the client.
    pub(super) to_client: u64,
}

fn names(headers: &HeaderMap, name: &http::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(tokens)
        .any(|named| named.eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(method: &Method, version: Version, connection: &'static str, upgrade: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static(connection));
        headers.insert(UPGRADE, HeaderValue::from_static(upgrade));
        is_asked_for(method, version, &headers)
    }

    #[test]
    fn s46_nothing_else_is_an_upgrade() {
        let http1 = Version::HTTP_11;
        assert!(asks(&Method::GET, http1, "keep-alive, Upgrade", "WebSocket"));
        assert!(!asks(&Method::POST, http1, "Upgrade", "websocket"));
        assert!(!asks(&Method::GET, Version::HTTP_10, "Upgrade", "websocket"));
        assert!(!asks(&Method::GET, http1, "keep-alive", "websocket"));
        assert!(!asks(&Method::GET, http1, "Upgrade", "h2c"));
        assert!(!asks(&Method::GET, http1, "Upgrade", "websockets"));
    }
}
