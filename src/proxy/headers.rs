//! Headers that end at a hop (RFC 9110, section 7.6.1), and those that say where a request came from.

use std::net::IpAddr;

use http::header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::request::RequestHead;

/// What only a trusted proxy may say (S42).
const CLAIMS: &[&str] = &[
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
];

/// Whether a request asks for a WebSocket (RFC 6455, section 4.1).
pub(super) fn websocket(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET
        && headers
            .get(UPGRADE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Removes what is for this hop alone, and what `Connection` names; an upgrade keeps what it needs.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap, upgrade: bool) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != http::header::HOST && *name != http::header::CONTENT_LENGTH)
        .collect();
    let trailers = headers
        .get(TE)
        .is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    for name in named {
        if !(upgrade && name == UPGRADE) {
            headers.remove(name);
        }
    }
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
    ] {
        headers.remove(name);
    }
    headers.remove(TE);
    headers.remove(TRANSFER_ENCODING);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    } else {
        headers.remove(UPGRADE);
    }
}

/// Says where the request came from, in place of what it says itself.
pub(super) fn set_forwarded(headers: &mut HeaderMap, head: &RequestHead<'_>) {
    for name in CLAIMS {
        headers.remove(*name);
    }
    let address = match head.client.address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.to_string(),
    };
    let said = [
        ("x-forwarded-for", address.as_str()),
        ("x-real-ip", address.as_str()),
        ("x-forwarded-host", head.authority),
        ("x-request-id", &head.id.to_string()),
    ]
    .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value)));
    for (name, value) in said {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_names_goes_and_the_rest_stays() {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("X-Secret, close, Host"));
        for name in [
            "x-secret",
            "host",
            "keep-alive",
            "transfer-encoding",
            "upgrade",
            "accept",
        ] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        strip_hop_by_hop(&mut headers, false);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "host"]);
    }
}
