//! Whether a browser sent a request on behalf of another site.

use http::HeaderMap;
use http::header::ORIGIN;

/// A request that another site caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request comes from another site")]
pub struct CrossOrigin;

/// Passes a request that is the gateway's own page's, or a program's.
///
/// Browsers have sent `Sec-Fetch-Site` (W3C Fetch Metadata) since 2023 and `Origin` (RFC 6454) with every
/// POST before that; a page cannot forge either, so no token in the form is needed. Programs send neither.
/// `authority` is the requested host with its port. A default port may be left out on either side.
///
/// A page that tells no referrer, because its address carries a token, has browsers send `Origin: null` with its own
/// form (Fetch, section 3.2); there `Sec-Fetch-Site: same-origin` decides, which no sandboxed or foreign page gets.
pub fn require_same_origin(headers: &HeaderMap, authority: &str) -> Result<(), CrossOrigin> {
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
            .and_then(|origin| origin.strip_prefix("https://"));
        if !host.is_some_and(|host| {
            without_default_port(host).eq_ignore_ascii_case(without_default_port(authority))
        }) {
            return Err(CrossOrigin);
        }
    }
    Ok(())
}

fn without_default_port(authority: &str) -> &str {
    authority.strip_suffix(":443").unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn judge(pairs: &[(&'static str, &'static str)]) -> Result<(), CrossOrigin> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        require_same_origin(&headers, "gw.example.com:8443")
    }

    #[test]
    fn programs_and_own_pages_pass() {
        assert!(judge(&[]).is_ok());
        assert!(
            judge(&[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://gw.example.com:8443")
            ])
            .is_ok()
        );
        assert!(judge(&[("sec-fetch-site", "same-origin"), ("origin", "null")]).is_ok());
        assert!(judge(&[("sec-fetch-site", "none")]).is_ok());
        assert!(judge(&[("origin", "https://GW.example.com:8443")]).is_ok());
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
            assert_eq!(judge(pairs), Err(CrossOrigin), "{pairs:?}");
        }
    }
}
