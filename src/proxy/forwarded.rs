//! Sets `X-Forwarded-*`, `X-Real-IP`, `Forwarded` and `Host` for the upstream (S42).

use std::net::IpAddr;

use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::identity::is_of_the_connection;
use crate::request::{RequestHead, port_of};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Replaces every field that describes the connection. `X-Forwarded-For` is continued if a trusted proxy
/// began it, and `Forwarded` (RFC 7239) is set if such a proxy sent one. `authority` is the host and port
/// that the upstream is to take for its own.
pub(super) fn set_forwarded_headers(
    headers: &mut HeaderMap,
    head: &RequestHead<'_>,
    authority: &HeaderValue,
    peer: IpAddr,
) {
    let chain = if head.client.through_trusted_proxy {
        continued_chain(headers, head.client.address, peer)
    } else {
        head.client.address.to_string()
    };
    let speaks_forwarded = head.client.through_trusted_proxy && headers.contains_key(FORWARDED);
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_of_the_connection(name))
        .cloned()
        .collect();
    for name in claims {
        headers.remove(name);
    }
    if speaks_forwarded
        && let Ok(forwarded) = HeaderValue::try_from(forwarded(&chain, head.scheme, authority))
    {
        headers.insert(FORWARDED, forwarded);
    }
    if let Ok(chain) = HeaderValue::try_from(chain) {
        headers.insert(FORWARDED_FOR, chain);
    }
    let port = authority.to_str().ok().and_then(port_of);
    headers.insert(
        FORWARDED_PORT,
        port.unwrap_or_else(|| default_port(head.scheme)).into(),
    );
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(head.scheme));
    headers.insert(FORWARDED_HOST, authority.clone());
    headers.insert(HOST, authority.clone());
    if let Ok(address) = HeaderValue::try_from(head.client.address.to_string()) {
        headers.insert(REAL_IP, address);
    }
}

/// Returns the default port of a URL scheme.
pub(super) fn default_port(scheme: &str) -> u16 {
    if scheme == "http" { 80 } else { 443 }
}

/// Appends the peer to the `X-Forwarded-For` list. Without a list, as behind the PROXY protocol, the client's
/// address begins it. Empty elements are skipped (RFC 9110, section 5.6.1).
fn continued_chain(headers: &HeaderMap, client: IpAddr, peer: IpAddr) -> String {
    let mut chain = String::new();
    for value in headers.get_all(FORWARDED_FOR) {
        for element in value.to_str().unwrap_or("unknown").split(',').map(str::trim) {
            if !element.is_empty() {
                chain.push_str(element);
                chain.push_str(", ");
            }
        }
    }
    let last = if chain.is_empty() { client } else { peer };
    chain.push_str(&last.to_string());
    chain
}

/// Converts the list to `Forwarded` (RFC 7239, section 4). Elements that are no IP address become `unknown`.
fn forwarded(chain: &str, scheme: &str, authority: &HeaderValue) -> String {
    let elements = chain.split(", ").enumerate().map(|(index, element)| {
        let by_address = match element.parse() {
            Ok(IpAddr::V4(address)) => format!("for={address}"),
            Ok(IpAddr::V6(address)) => format!("for=\"[{address}]\""),
            Err(_) => "for=unknown".to_owned(),
        };
        match (index, authority.to_str()) {
            (0, Ok(authority)) => format!("{by_address};host=\"{authority}\";proto={scheme}"),
            _ => by_address,
        }
    });
    elements.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::random::Random;
    use crate::request::{ClientAddress, RequestIds};

    fn forwarded_values(through_trusted_proxy: bool, sent: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let head = RequestHead {
            method: &Method::GET,
            host: &"a.example.com".parse().unwrap(),
            scheme: "https",
            authority: "a.example.com:8443",
            path: "/",
            query: None,
            headers: &HeaderMap::new(),
            client: &ClientAddress {
                address: [203, 0, 113, 9].into(),
                through_trusted_proxy,
                is_known: true,
            },
            id: RequestIds::new(&Random::seeded(1)).next(),
        };
        let host = HeaderValue::from_static("a.example.com:8443");
        set_forwarded_headers(&mut headers, &head, &host, [10, 0, 0, 1].into());
        let mut told: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        told.sort();
        told
    }

    const OWN: [&str; 6] = [
        "host: a.example.com:8443",
        "x-forwarded-for: 203.0.113.9",
        "x-forwarded-host: a.example.com:8443",
        "x-forwarded-port: 8443",
        "x-forwarded-proto: https",
        "x-real-ip: 203.0.113.9",
    ];

    #[test]
    fn s42_what_a_client_says_is_replaced() {
        let sent = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "7.7.7.7"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-port", "1"),
            ("x-forwarded-prefix", "/x"),
            ("x-forwarded-server", "x"),
            ("x-forwarded-user", "root"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("x-original-url", "/admin"),
            ("x-original-uri", "/admin"),
            ("x-rewrite-url", "/admin"),
            ("x-original-method", "GET"),
            ("true-client-ip", "6.6.6.6"),
            ("client_ip", "6.6.6.6"),
            ("x-forwarded", "for=6.6.6.6"),
            ("proxy", "http://evil.example"),
            ("x~forwarded!for", "6.6.6.6"),
            ("x.real|ip", "6.6.6.6"),
            ("x_forwarded_prefix", "/x"),
            ("cf-connecting-ip", "6.6.6.6"),
            ("x-azure-clientip", "6.6.6.6"),
            ("x-original-forwarded-for", "6.6.6.6"),
            ("x-ingress-path", "/x"),
            ("client-cert", ":x:"),
        ];
        assert_eq!(forwarded_values(false, &sent), OWN);
        assert_eq!(forwarded_values(false, &[]), OWN);
    }

    #[test]
    fn s42_what_a_trusted_proxy_says_is_continued() {
        let sent = [
            ("x-forwarded-for", "6.6.6.6, 203.0.113.9,, "),
            ("x-forwarded-prefix", "/x"),
            ("x-forwarded-user", "root"),
            ("x-original-url", "/admin"),
            ("x~rewrite~url", "/admin"),
            ("true-client-ip", "6.6.6.6"),
            ("x-envoy-external-address", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6;host=evil.example"),
        ];
        let forwarded =
            "forwarded: for=6.6.6.6;host=\"a.example.com:8443\";proto=https, for=203.0.113.9, for=10.0.0.1";
        let mut expected = OWN.to_vec();
        expected[1] = "x-forwarded-for: 6.6.6.6, 203.0.113.9, 10.0.0.1";
        expected.insert(0, forwarded);
        assert_eq!(forwarded_values(true, &sent), expected);
        assert_eq!(forwarded_values(true, &[]), OWN);
    }

    #[test]
    fn a_list_in_the_words_of_rfc_7239() {
        let authority = HeaderValue::from_static("a.example.com");
        assert_eq!(
            super::forwarded("2001:db8::1, x, 10.0.0.1", "http", &authority),
            "for=\"[2001:db8::1]\";host=\"a.example.com\";proto=http, for=unknown, for=10.0.0.1"
        );
    }
}
