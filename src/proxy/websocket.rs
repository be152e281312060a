//! WebSocket handshakes, the only upgrades that are forwarded (S46): by HTTP/1.1, and over HTTP/2 by an extended CONNECT.

mod frames;
mod tunnel;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use hyper::ext::Protocol;
use sha1::{Digest as _, Sha1};

use super::hop_by_hop::tokens;
use crate::random::Random;

pub(super) use tunnel::{TunnelEnd, close_stream, tunnel};

const WEBSOCKET: &str = "websocket";

/// What a server appends to a key (RFC 6455, section 1.3).
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// How a client asks for a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// By an upgrade of HTTP/1.1 (RFC 6455, section 4.1).
    Upgrade,
    /// By an extended CONNECT of HTTP/2 (RFC 8441, section 5).
    ExtendedConnect,
}

/// A handshake with an application.
#[derive(Debug)]
pub(super) enum UpstreamHandshake {
    /// The client's own, which it verifies.
    Passed,
    /// The gateway's, for a client whose handshake has no key; with the accept value that answers its key.
    Own(String),
}

/// Returns how a request asks for a WebSocket, if it does. An extended CONNECT becomes the GET that it stands for, with
/// `Upgrade`, which no request over HTTP/2 can have by itself: all that judges a handshake judges both kinds alike.
pub(super) fn take_handshake(parts: &mut Parts) -> Option<Handshake> {
    if is_asked_for(&parts.method, parts.version, &parts.headers) {
        return Some(Handshake::Upgrade);
    }
    let is_extended = parts.method == Method::CONNECT
        && parts.version == Version::HTTP_2
        && parts
            .extensions
            .get::<Protocol>()
            .is_some_and(|protocol| protocol.as_str().eq_ignore_ascii_case(WEBSOCKET));
    is_extended.then(|| {
        parts.method = Method::GET;
        parts.headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
        Handshake::ExtendedConnect
    })
}

/// Whether a request is a WebSocket handshake of HTTP/1.1.
fn is_asked_for(method: &Method, version: Version, headers: &HeaderMap) -> bool {
    *method == Method::GET
        && version == Version::HTTP_11
        && names(headers, &UPGRADE, WEBSOCKET)
        && names(headers, &CONNECTION, "upgrade")
}

impl Handshake {
    /// Writes the handshake with the application, after the hop-by-hop fields were removed.
    pub(super) fn write(self, headers: &mut HeaderMap, random: &Random) -> UpstreamHandshake {
        set_upgrade_headers(headers);
        match self {
            Self::Upgrade => UpstreamHandshake::Passed,
            Self::ExtendedConnect => {
                let key = STANDARD.encode(random.bytes::<16>());
                let accept = accept_of(key.as_bytes());
                let key = HeaderValue::try_from(key).unwrap_or_else(|_| HeaderValue::from_static(""));
                headers.insert(SEC_WEBSOCKET_KEY, key);
                UpstreamHandshake::Own(accept)
            }
        }
    }
}

impl UpstreamHandshake {
    /// Whether a 101 response completes the handshake.
    pub(super) fn is_completed_by(&self, headers: &HeaderMap) -> bool {
        let is_accepted = match self {
            Self::Passed => true,
            Self::Own(accept) => {
                let mut answers = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
                answers
                    .next()
                    .is_some_and(|answer| answer.as_bytes() == accept.as_bytes())
                    && answers.next().is_none()
            }
        };
        is_accepted && names(headers, &UPGRADE, WEBSOCKET)
    }

    /// Turns the application's 101 into what tells the client, after the hop-by-hop fields were removed: over HTTP/2 it is 200,
    /// without what belongs to a key.
    pub(super) fn complete<B>(&self, response: &mut Response<B>) {
        match self {
            Self::Passed => set_upgrade_headers(response.headers_mut()),
            Self::Own(_) => {
                *response.status_mut() = StatusCode::OK;
                for name in [SEC_WEBSOCKET_ACCEPT, CONTENT_LENGTH] {
                    response.headers_mut().remove(name);
                }
            }
        }
    }

    /// Whether a response that begins no WebSocket would say to the client that one has begun.
    pub(super) fn is_feigned_by(&self, status: StatusCode) -> bool {
        matches!(self, Self::Own(_)) && status.is_success()
    }
}

fn set_upgrade_headers(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
}

/// Returns the accept value that answers a key (RFC 6455, section 4.2.2). SHA-1 is no secret's guard here: it shows that the
/// other side knows the protocol.
fn accept_of(key: &[u8]) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_SUFFIX);
    STANDARD.encode(digest.finalize())
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

    fn extended(method: &Method, version: Version, protocol: Option<&'static str>) -> Parts {
        let mut request = http::Request::new(());
        *request.method_mut() = method.clone();
        *request.version_mut() = version;
        if let Some(protocol) = protocol {
            request.extensions_mut().insert(Protocol::from_static(protocol));
        }
        request.into_parts().0
    }

    #[test]
    fn s46_an_extended_connect_for_anything_else_stays_a_connect() {
        let http2 = Version::HTTP_2;
        for (method, version, protocol, expected) in [
            (
                Method::CONNECT,
                http2,
                Some("websocket"),
                Some(Handshake::ExtendedConnect),
            ),
            (
                Method::CONNECT,
                http2,
                Some("WebSocket"),
                Some(Handshake::ExtendedConnect),
            ),
            (Method::CONNECT, http2, Some("connect-udp"), None),
            (Method::CONNECT, http2, None, None),
            (Method::CONNECT, Version::HTTP_11, Some("websocket"), None),
            (Method::GET, http2, Some("websocket"), None),
        ] {
            let mut parts = extended(&method, version, protocol);
            assert_eq!(
                take_handshake(&mut parts),
                expected,
                "{method} {version:?} {protocol:?}"
            );
            let becomes = if expected.is_some() { Method::GET } else { method };
            assert_eq!(parts.method, becomes, "{version:?} {protocol:?}");
            assert_eq!(parts.headers.contains_key(UPGRADE), expected.is_some());
        }
    }

    #[test]
    fn a_key_is_answered_as_the_standard_has_it() {
        assert_eq!(
            accept_of(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn s46_a_handshake_of_the_gateways_own_is_completed_by_the_answer_to_its_key() {
        let random = Random::seeded(1);
        let (mut asked, mut again) = (HeaderMap::new(), HeaderMap::new());
        asked.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("of the client"));
        let handshake = Handshake::ExtendedConnect.write(&mut asked, &random);
        Handshake::ExtendedConnect.write(&mut again, &random);
        let key = &asked[SEC_WEBSOCKET_KEY];
        assert_eq!(STANDARD.decode(key).unwrap().len(), 16);
        assert_ne!(key, &again[SEC_WEBSOCKET_KEY]);
        let right = accept_of(key.as_bytes());
        let wrong = accept_of(again[SEC_WEBSOCKET_KEY].as_bytes());
        for (upgrade, accepts, expected) in [
            ("websocket", vec![&right], true),
            ("websocket", vec![&wrong], false),
            ("websocket", vec![], false),
            ("websocket", vec![&right, &right], false),
            ("h2c", vec![&right], false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(UPGRADE, HeaderValue::from_static(upgrade));
            for accept in &accepts {
                headers.append(SEC_WEBSOCKET_ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(
                handshake.is_completed_by(&headers),
                expected,
                "{upgrade} {accepts:?}"
            );
        }
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
