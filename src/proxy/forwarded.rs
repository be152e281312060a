//! What an application is told of the connection (S42).

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::request::RequestHead;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What else clients say of a connection or of a target that was rewritten on the way, beside everything below
/// `X-Forwarded-`: some applications believe it.
const CLAIMS: [HeaderName; 5] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-original-uri"),
    HeaderName::from_static("x-rewrite-url"),
    REAL_IP,
];

/// Says who asks, for which host, and that they asked over TLS. What the client says of it is replaced; what a
/// trusted proxy says is kept and continued.
pub(super) fn tell(headers: &mut HeaderMap, head: &RequestHead<'_>, host: &HeaderValue, peer: IpAddr) {
    let address = address(head.client.address);
    if head.client.through_trusted_proxy {
        continue_chain(headers, peer, &address);
        headers.entry(FORWARDED_HOST).or_insert_with(|| host.clone());
        headers
            .entry(FORWARDED_PROTO)
            .or_insert(HeaderValue::from_static("https"));
    } else {
        remove_claims(headers);
        headers.insert(FORWARDED_FOR, address.clone());
        headers.insert(FORWARDED_HOST, host.clone());
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    }
    headers.insert(REAL_IP, address);
}

fn remove_claims(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-"))
        .cloned()
        .collect();
    for name in claims.into_iter().chain(CLAIMS) {
        headers.remove(name);
    }
}

/// The list of those who handed the request on, with the peer at its end. A proxy that speaks for the client in
/// another way, as the PROXY protocol does, leaves no list: then the client begins it.
fn continue_chain(headers: &mut HeaderMap, peer: IpAddr, client: &HeaderValue) {
    let mut chain = Vec::new();
    for value in headers.get_all(FORWARDED_FOR) {
        chain.extend_from_slice(value.as_bytes());
        chain.extend_from_slice(b", ");
    }
    if chain.is_empty() {
        headers.insert(FORWARDED_FOR, client.clone());
        return;
    }
    chain.extend_from_slice(peer.to_string().as_bytes());
    if let Ok(chain) = HeaderValue::from_bytes(&chain) {
        headers.insert(FORWARDED_FOR, chain);
    }
}

fn address(address: IpAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::random::Random;
    use crate::request::{Client, RequestIds};

    fn told(through_trusted_proxy: bool, sent: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let head = RequestHead {
            method: &Method::GET,
            host: &"a.example.com".parse().unwrap(),
            authority: "a.example.com:8443",
            path: "/",
            query: None,
            headers: &HeaderMap::new(),
            client: &Client {
                address: [203, 0, 113, 9].into(),
                through_trusted_proxy,
            },
            id: RequestIds::new(&Random::seeded(1)).next(),
        };
        let host = HeaderValue::from_static("a.example.com:8443");
        tell(&mut headers, &head, &host, [10, 0, 0, 1].into());
        let mut told: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        told.sort();
        told
    }

    const OWN: [&str; 4] = [
        "x-forwarded-for: 203.0.113.9",
        "x-forwarded-host: a.example.com:8443",
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
        ];
        assert_eq!(told(false, &sent), OWN);
        assert_eq!(told(false, &[]), OWN);
    }

    #[test]
    fn s42_what_a_trusted_proxy_says_is_continued() {
        let sent = [
            ("x-forwarded-for", "6.6.6.6, 203.0.113.9"),
            ("x-forwarded-host", "public.example"),
            ("x-forwarded-prefix", "/x"),
        ];
        assert_eq!(
            told(true, &sent),
            [
                "x-forwarded-for: 6.6.6.6, 203.0.113.9, 10.0.0.1",
                "x-forwarded-host: public.example",
                "x-forwarded-prefix: /x",
                "x-forwarded-proto: https",
                "x-real-ip: 203.0.113.9",
            ]
        );
        assert_eq!(told(true, &[]), OWN);
    }
}
