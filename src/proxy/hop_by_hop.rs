//! Removes hop-by-hop fields (RFC 9110, section 7.6.1).

use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, CONNECTION, EXPECT, ORIGIN, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::request::names_second_resource;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Removes hop-by-hop fields from a request; `TE: trailers` stays, which gRPC needs. Fields that `Connection`
/// names stay if policy depends on them or the request is signed: removed, they would make the upstream do
/// something other than what was admitted, and they are no connection options (RFC 9110, section 7.6.1).
pub(super) fn remove_from_request(headers: &mut HeaderMap, is_signed: bool) {
    let takes_trailers = headers
        .get_all(TE)
        .iter()
        .any(|value| tokens(value).any(|token| token.eq_ignore_ascii_case("trailers")));
    let makes_preflight = |name: &HeaderName| [ORIGIN, ACCESS_CONTROL_REQUEST_METHOD].contains(name);
    remove(headers, |name| {
        !is_signed && !names_second_resource(name) && !makes_preflight(name)
    });
    // hyper sends 100 (Continue) itself when the body is read.
    headers.remove(EXPECT);
    headers.remove(HTTP2_SETTINGS);
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes hop-by-hop fields from a response.
pub(super) fn remove_from_response(headers: &mut HeaderMap) {
    remove(headers, |_| true);
}

/// Removes them; `is_option` decides about fields that `Connection` names.
fn remove(headers: &mut HeaderMap, is_option: impl Fn(&HeaderName) -> bool) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(tokens)
            .filter_map(|token| token.parse().ok())
            .filter(|name| headers.contains_key(name) && is_option(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// Returns the elements of a list (RFC 9110, section 5.6.1).
pub(super) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let text = value.to_str().unwrap_or_default();
    text.split(',').map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(sent: &[(&'static str, &'static str)]) -> Vec<String> {
        left_of(sent, false)
    }

    fn left_of(sent: &[(&'static str, &'static str)], is_signed: bool) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_static(value));
        }
        remove_from_request(&mut headers, is_signed);
        let mut left: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        left.sort();
        left
    }

    #[test]
    fn s41_what_is_about_the_connection_ends_here() {
        assert_eq!(
            left(&[
                ("connection", "keep-alive, X-One"),
                ("connection", "x-two"),
                ("x-one", "1"),
                ("x-two", "2"),
                ("x-three", "3"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "keep-alive"),
                ("proxy-authorization", "Basic x"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("http2-settings", "x"),
                ("expect", "100-continue"),
                ("te", "gzip"),
            ]),
            ["x-three: 3"]
        );
    }

    #[test]
    fn s75_what_a_request_was_checked_by_stays() {
        let sent = [
            (
                "connection",
                "close, Overwrite, if-none-match, X-Oss-Copy-Source, origin, Access-Control-Request-Method",
            ),
            ("access-control-request-method", "PUT"),
            ("if-none-match", "*"),
            ("origin", "x"),
            ("overwrite", "F"),
            ("x-oss-copy-source", "/a/b"),
        ];
        let judged = [
            "access-control-request-method: PUT",
            "origin: x",
            "overwrite: F",
            "x-oss-copy-source: /a/b",
        ];
        assert_eq!(left(&sent), judged);
        let all = [
            "access-control-request-method: PUT",
            "if-none-match: *",
            "origin: x",
            "overwrite: F",
            "x-oss-copy-source: /a/b",
        ];
        assert_eq!(left_of(&sent, true), all);
    }

    #[test]
    fn that_trailers_are_taken_is_said_on() {
        assert_eq!(
            left(&[("te", "gzip, Trailers"), ("connection", "te")]),
            ["te: trailers"]
        );
    }
}
