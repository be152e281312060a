//! Where to go after signing in.

use url::Url;

use crate::request::Host;

/// The hosts to which a redirect may lead, and the port that they are reached at.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    hosts: Vec<Host>,
    port: u16,
}

impl Hosts {
    pub(super) fn new(hosts: Vec<Host>, public_url: &Url) -> Self {
        Self {
            hosts,
            port: public_url.port().unwrap_or(HTTPS),
        }
    }

    /// Their origins, for `form-action`.
    pub(super) fn origins(&self) -> impl Iterator<Item = String> {
        self.hosts.iter().map(|host| match self.port {
            HTTPS => format!("https://{host}"),
            port => format!("https://{host}:{port}"),
        })
    }
}

const HTTPS: u16 = 443;
const LONGEST: usize = 8 * 1024;

/// A place on the requested origin or on a configured host. There is no other way to make a redirect's target
/// out of something that a client sent (S31).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReturnTo(String);

impl ReturnTo {
    /// Reads `rd`; whatever could lead elsewhere, in any browser's reading of it, is "/".
    pub(super) fn parse(rd: &str, hosts: &Hosts, authority: &str) -> Self {
        let plain = rd.len() <= LONGEST && rd.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        if plain && (is_path(rd) || is_configured(rd, hosts, authority)) {
            Self(rd.to_owned())
        } else {
            Self("/".to_owned())
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// One slash: two begin a host, and so they might once somebody has decoded them.
fn is_path(rd: &str) -> bool {
    rd.strip_prefix('/').is_some_and(|rest| {
        let start = rest.get(..3).unwrap_or_default().to_ascii_lowercase();
        !rest.starts_with('/') && start != "%2f" && start != "%5c"
    })
}

fn is_configured(rd: &str, hosts: &Hosts, authority: &str) -> bool {
    let Some(("https://", rest)) = rd.split_at_checked("https://".len()) else {
        return false;
    };
    let target = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Ok(host) = target.parse::<Host>() else {
        return false;
    };
    // A final dot names the same machine, but cookies of a host are not sent to it.
    let rooted = target.split(':').next().is_some_and(|name| name.ends_with('.'));
    hosts.hosts.contains(&host)
        && !rooted
        && port(target)
            .is_some_and(|port| port == hosts.port || port == HTTPS || Some(port) == self::port(authority))
}

/// The port of an authority that is known to hold a host.
fn port(authority: &str) -> Option<u16> {
    match authority.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => port.parse().ok(),
        _ => Some(HTTPS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: &str = "gw.example.com:8443";

    fn parse(rd: &str) -> String {
        let hosts = ["gw.example.com", "app.example.com"].map(|host| host.parse().unwrap());
        let hosts = Hosts::new(
            hosts.to_vec(),
            &Url::parse("https://gw.example.com:8443").unwrap(),
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
            "https://APP.example.com",
        ] {
            assert_eq!(parse(rd), rd);
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
            "https://app.example.com.",
            "https://app.example.com.:8443/",
            "https://app.example.com%2eevil.com/",
            "https://app.example.com\\@evil.com",
            "https://sub.app.example.com/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/ｅvil",
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
            rd in "(https?:|/|\\\\|//|\t|@|\\.|:|%2f|%5c|evil\\.com|app\\.example\\.com|gw\\.example\\.com|8443|443|[ -~]|\\PC){0,8}",
        ) {
            let here = Url::parse("https://gw.example.com:8443/.auth/login").unwrap();
            let there = here.join(&parse(&rd)).unwrap();
            prop_assert_eq!(there.scheme(), "https");
            prop_assert!(matches!(there.host_str(), Some("gw.example.com" | "app.example.com")));
            prop_assert!(matches!(there.port(), None | Some(8443)));
            prop_assert!(there.username().is_empty() && there.password().is_none());
        }
    }
}
