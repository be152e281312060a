//! Cross-site request check by `Sec-Fetch-Site` and `Origin`.

use http::HeaderValue;
use http::header::ORIGIN;
use url::Url;

use super::RequestHead;

/// A request that another site caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request comes from another site")]
pub struct CrossOrigin;

/// Refuses requests that a browser sends on behalf of another site.
///
/// Browsers have sent `Sec-Fetch-Site` (W3C Fetch Metadata) since 2023, and `Origin` (RFC 6454) with every
/// POST before that; pages cannot forge either, so forms need no token. Programs send neither and pass. A
/// default port may be missing on either side.
///
/// A page with a no-referrer policy, because its URL carries a token, makes browsers send `Origin: null` with
/// its own form (Fetch, section 3.2). Then `Sec-Fetch-Site: same-origin` decides, which no sandboxed or
/// foreign page gets.
pub fn require_same_origin(head: &RequestHead<'_>) -> Result<(), CrossOrigin> {
    let headers = head.headers;
    let mut vouched = false;
    for site in headers.get_all("sec-fetch-site") {
        match site.as_bytes() {
            b"same-origin" => vouched = true,
            b"none" => {}
            _ => return Err(CrossOrigin),
        }
    }
    for origin in headers.get_all(ORIGIN) {
        if vouched && origin.as_bytes() == b"null" {
            continue;
        }
        let host = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.strip_prefix(head.scheme)?.strip_prefix("://"));
        let bare = |authority| without_default_port(head.scheme, authority);
        if !host.is_some_and(|host| bare(host).eq_ignore_ascii_case(bare(head.authority))) {
            return Err(CrossOrigin);
        }
    }
    Ok(())
}

/// Whether a value is an origin as browsers write it: a scheme and an authority, or `null` (RFC 6454, section 7.1).
pub fn is_origin(value: &HeaderValue) -> bool {
    let Ok(value) = value.to_str() else { return false };
    let Ok(url) = Url::parse(value) else {
        return value == "null";
    };
    match url.origin() {
        origin @ url::Origin::Tuple(..) => origin.ascii_serialization() == value,
        // Those of extensions, and of applications that show pages.
        url::Origin::Opaque(_) => {
            let parts = value.split_once("://");
            parts.is_some_and(|(scheme, authority)| {
                scheme == url.scheme() && Some(authority) == url.host_str()
            })
        }
    }
}

fn without_default_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let port = if scheme == "http" { ":80" } else { ":443" };
    authority.strip_suffix(port).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;
    use crate::random::Random;
    use crate::request::{ClientAddress, RequestIds};

    fn check(pairs: &[(&'static str, &'static str)]) -> Result<(), CrossOrigin> {
        check_at("https", "gw.example.com:8443", pairs)
    }

    fn check_at(
        scheme: &'static str,
        authority: &str,
        pairs: &[(&'static str, &'static str)],
    ) -> Result<(), CrossOrigin> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        require_same_origin(&RequestHead {
            method: &Method::POST,
            host: &authority.parse().unwrap(),
            scheme,
            authority,
            path: "/",
            query: None,
            headers: &headers,
            client: &ClientAddress {
                address: [203, 0, 113, 9].into(),
                through_trusted_proxy: false,
                is_known: true,
            },
            id: RequestIds::new(&Random::seeded(1)).next(),
        })
    }

    #[test]
    fn the_scheme_is_the_one_that_was_used() {
        assert!(check_at("http", "a.com", &[("origin", "http://a.com:80")]).is_ok());
        assert!(check_at("https", "a.com", &[("origin", "https://a.com:443")]).is_ok());
        assert!(check_at("http", "a.com", &[("origin", "https://a.com")]).is_err());
        assert!(check_at("https", "a.com", &[("origin", "http://a.com")]).is_err());
        assert!(check_at("https", "a.com:80", &[("origin", "https://a.com")]).is_err());
    }

    #[test]
    fn programs_and_own_pages_pass() {
        assert!(check(&[]).is_ok());
        assert!(
            check(&[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://gw.example.com:8443")
            ])
            .is_ok()
        );
        assert!(check(&[("sec-fetch-site", "same-origin"), ("origin", "null")]).is_ok());
        assert!(check(&[("sec-fetch-site", "none")]).is_ok());
        assert!(check(&[("origin", "https://GW.example.com:8443")]).is_ok());
    }

    #[test]
    fn origins_as_browsers_write_them() {
        for origin in [
            "null",
            "https://a.example",
            "http://a.example:8080",
            "https://[::1]:8443",
            "moz-extension://5e38fa07-0000",
            "app://localhost",
        ] {
            assert!(is_origin(&HeaderValue::from_static(origin)), "{origin}");
        }
        for other in [
            "",
            "0",
            "x",
            "https://",
            "https://a/b",
            "://a",
            "HTTPS://a",
            "0://a",
            "a.example",
        ] {
            assert!(!is_origin(&HeaderValue::from_static(other)), "{other}");
        }
    }

    #[test]
    fn other_sites_do_not() {
        for pairs in [
            [("sec-fetch-site", "cross-site")].as_slice(),
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "")],
            &[("origin", "null")],
            &[("origin", "null"), ("sec-fetch-site", "none")],
            &[("origin", "null"), ("sec-fetch-site", "cross-site")],
            &[("origin", "https://gw.example.com")],
            &[("origin", "http://gw.example.com:8443")],
            &[("origin", "https://evil.example")],
            &[
                ("origin", "https://gw.example.com:8443"),
                ("origin", "https://evil.example"),
            ],
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://evil.example"),
            ],
        ] {
            assert_eq!(check(pairs), Err(CrossOrigin), "{pairs:?}");
        }
    }
}
