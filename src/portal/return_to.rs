//! Redirect targets after signing in and out.

use percent_encoding::{CONTROLS, utf8_percent_encode};
use url::Url;

use crate::config::HostPattern;
use crate::request::{Host, RequestHead};

/// The hosts to which a redirect may lead, their port, and the longest target.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    patterns: Vec<HostPattern>,
    port: u16,
    longest: usize,
}

impl Hosts {
    /// `longest` is the limit of request heads, which every request fits into.
    pub(super) fn new(patterns: Vec<HostPattern>, public_url: &Url, longest: usize) -> Self {
        Self {
            patterns,
            port: public_url.port().unwrap_or(HTTPS),
            longest,
        }
    }

    /// The hosts' origins for `form-action`, with wildcards as in CSP (Level 3, section 2.3.1).
    pub(super) fn origins(&self) -> impl Iterator<Item = String> {
        self.patterns.iter().map(|pattern| match self.port {
            HTTPS => format!("https://{pattern}"),
            port => format!("https://{pattern}:{port}"),
        })
    }

    fn contain(&self, host: &Host) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(host))
    }
}

const HTTPS: u16 = 443;

/// A place on the requested origin or on a configured host. No other type turns a client's input into the
/// target of a redirect (S31).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReturnTo(String);

impl ReturnTo {
    /// Parses `rd`; a target that any browser could read as another origin becomes "/".
    ///
    /// Non-ASCII characters are percent-encoded, as in a browser. A backslash is allowed in a query, where it
    /// is literal; in a path it would be a slash.
    pub(super) fn parse(rd: &str, hosts: &Hosts, authority: &str) -> Self {
        let (place, rest) = rd.split_at(rd.find(['?', '#']).unwrap_or(rd.len()));
        let is_plain = rd.len() <= hosts.longest
            && rd.chars().all(|c| c.is_ascii_graphic() || !c.is_ascii())
            && !place.contains('\\');
        let read = if !is_plain {
            None
        } else if is_path(place) {
            Some(rd.to_owned())
        } else {
            on_host(place, rest, hosts, authority)
        };
        let encoded = |place: String| utf8_percent_encode(&place, CONTROLS).to_string();
        Self(read.map_or_else(|| "/".to_owned(), encoded))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Requires a single slash: two begin a host, also if the second one is encoded and decoded later.
fn is_path(place: &str) -> bool {
    place.strip_prefix('/').is_some_and(|rest| {
        let start = rest.get(..3).unwrap_or_default().to_ascii_lowercase();
        !rest.starts_with('/') && start != "%2f" && start != "%5c"
    })
}

/// Requires `https` and a configured host, in its one spelling: a trailing dot names the same machine, but is
/// another host for cookies.
fn on_host(place: &str, rest: &str, hosts: &Hosts, authority: &str) -> Option<String> {
    let place = place.strip_prefix("https://")?;
    let (target, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let host = target.parse::<Host>().ok()?;
    let port = port(target)?;
    let is_known =
        hosts.contain(&host) && (port == hosts.port || port == HTTPS || Some(port) == self::port(authority));
    let path = if path.is_empty() { "/" } else { path };
    is_known.then(|| format!("https://{host}{}{path}{rest}", port_suffix(target)))
}

/// The place of a request, as an `rd`. With its host if `full`, or if the path could be read as a host.
pub(super) fn place_of(head: &RequestHead<'_>, full: bool) -> String {
    let mut place = if full || !is_path(head.path) {
        format!(
            "https://{}{}{}",
            head.host,
            port_suffix(head.authority),
            head.path
        )
    } else {
        head.path.to_owned()
    };
    if let Some(query) = head.query {
        place.push('?');
        place.push_str(query);
    }
    place
}

/// The port of an authority that is known to have a host.
fn port(authority: &str) -> Option<u16> {
    match port_suffix(authority) {
        "" => Some(HTTPS),
        suffix => suffix.strip_prefix(':')?.parse().ok(),
    }
}

/// The port with its colon, as written; empty if there is none.
fn port_suffix(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if !authority.ends_with(']') => &authority[colon..],
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: &str = "gw.example.com:8443";
    const LONGEST: usize = 64 << 10;

    fn parse(rd: &str) -> String {
        let hosts =
            ["gw.example.com", "app.example.com", "*.w.example.com"].map(|host| host.parse().unwrap());
        let hosts = Hosts::new(
            hosts.to_vec(),
            &Url::parse("https://gw.example.com:8443").unwrap(),
            LONGEST,
        );
        ReturnTo::parse(rd, &hosts, HERE).0
    }

    #[test]
    fn places_of_ones_own_stay() {
        for rd in [
            "/",
            "/a/b?c=d&e=%2F%2Fevil#f",
            "/a//b",
            "https://app.example.com/x?y",
            "https://app.example.com:8443/",
            "https://app.example.com:443/",
            "https://any.w.example.com/",
            "https://a.ny.w.example.com:8443//x?y",
            "/a?b=\\c&d=//evil.com",
            "https://app.example.com/?b=\\@evil.com",
            &format!("/{}?b", "a".repeat(LONGEST - 3)),
        ] {
            assert_eq!(parse(rd), rd);
        }
    }

    #[test]
    fn a_place_has_one_spelling() {
        for (rd, written) in [
            ("https://APP.example.com", "https://app.example.com/"),
            ("https://app.example.com.", "https://app.example.com/"),
            (
                "https://App.Example.com.:8443/X?y",
                "https://app.example.com:8443/X?y",
            ),
            ("https://ANY.W.example.com./", "https://any.w.example.com/"),
            (
                "https://app.example.com?\\@evil.com",
                "https://app.example.com/?\\@evil.com",
            ),
            ("/검색?q=한\\글", "/%EA%B2%80%EC%83%89?q=%ED%95%9C\\%EA%B8%80"),
            ("/ｅvil", "/%EF%BD%85vil"),
            ("/／evil.com", "/%EF%BC%8Fevil.com"),
        ] {
            assert_eq!(parse(rd), written, "{rd}");
        }
    }

    #[test]
    fn everything_else_is_the_start_page() {
        for rd in [
            "",
            "a",
            "//evil.com",
            "///evil.com",
            "/\\evil.com",
            "\\/evil.com",
            "/\t/evil.com",
            "/\n/evil.com",
            " /a",
            "/a b",
            "/%2fevil.com",
            "/%5Cevil.com",
            "%2f%2fevil.com",
            "https:evil.com",
            "https:/evil.com",
            "https:///evil.com",
            "https://evil.com/",
            "http://app.example.com/",
            "HTTPS:\\\\evil.com",
            "https://app.example.com@evil.com/",
            "https://user@app.example.com/",
            "https://app.example.com:1/",
            "https://app.example.com:/",
            "https://app.example.com.evil.com/",
            "https://app.example.com%2eevil.com/",
            "https://app.example.com\\@evil.com",
            "https://app.example.com../",
            "https://sub.app.example.com/",
            "https://w.example.com/",
            "https://evilw.example.com/",
            "https://any.w.example.com.evil.com/",
            "https://any.w.example.com:1/",
            "https://*.w.example.com/",
            "/a\\b?c",
            "/\\evil.com?a",
            "/a?b c",
            "/a?b\tc",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://ａpp.example.com/",
            "/\u{0}",
            "?a",
            "#a",
            ".//evil.com",
        ] {
            assert_eq!(parse(rd), "/", "{rd:?}");
        }
        assert_eq!(parse(&format!("/{}", "a".repeat(LONGEST))), "/");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_browser_never_leaves_the_configured_hosts(
            rd in "(https?:|/|\\\\|//|\t|@|\\.|:|%2f|%5c|evil\\.com|app\\.example\\.com|gw\\.example\\.com|any\\.w\\.example\\.com|8443|443|[ -~]|\\PC){0,8}",
        ) {
            let here = Url::parse("https://gw.example.com:8443/.auth/login").unwrap();
            let there = here.join(&parse(&rd)).unwrap();
            prop_assert_eq!(there.scheme(), "https");
            let host = there.host_str().unwrap();
            prop_assert!(matches!(host, "gw.example.com" | "app.example.com") || host.ends_with(".w.example.com"));
            prop_assert!(matches!(there.port(), None | Some(8443)));
            prop_assert!(there.username().is_empty() && there.password().is_none());
        }
    }
}
