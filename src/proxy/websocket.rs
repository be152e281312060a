//! WebSocket upgrades, the only ones that are forwarded (S46).

mod frames;
mod tunnel;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Version};

use super::hop_by_hop::tokens;

pub(super) use tunnel::{TunnelEnd, tunnel};

/// Whether a request is a WebSocket handshake (RFC 6455, section 4.1).
pub(super) fn is_asked_for(method: &Method, version: Version, headers: &HeaderMap) -> bool {
    *method == Method::GET
        && version == Version::HTTP_11
        && names(headers, &UPGRADE, "websocket")
        && names(headers, &CONNECTION, "upgrade")
}

/// Whether a 101 response completes the handshake.
pub(super) fn is_begun(headers: &HeaderMap) -> bool {
    names(headers, &UPGRADE, "websocket")
}

/// Sets `Connection` and `Upgrade`, after the hop-by-hop fields were removed.
pub(super) fn set_upgrade_headers(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
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
