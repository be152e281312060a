//! Checks addresses, `public_url`, the session cookie and the log level.

use std::net::{IpAddr, SocketAddr};

use tracing_subscriber::EnvFilter;

use super::Findings;
use super::places::resolve_links;
use crate::config::suggestion::{did_you_mean, write_https};
use crate::config::toml_document::KeyPath;
use crate::config::{Config, HostPattern, ListenConfig, PlainAddress};
use crate::request::Host;

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    check_public_url(config, findings);
    check_listeners(config, findings);
    check_cookie(config, findings);
    check_log(config, findings);
}

/// The message about a `public_url` with another scheme, or none.
pub(in crate::config) const NOT_AN_ADDRESS: &str =
    "not an address of this gateway: it begins with `https://`";

fn check_public_url(config: &Config, findings: &mut Findings<'_, '_>) {
    let url = &config.public_url;
    let path = KeyPath::from("public_url");
    if url.scheme() != "https" {
        findings.error_suggesting(&path, NOT_AN_ADDRESS, write_https(url.as_str()));
    }
    if url.cannot_be_a_base() {
        return;
    }
    if !url.username().is_empty() || url.password().is_some() {
        findings.error(&path, "the gateway's address has no user and password");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        findings.error(
            &path,
            "the gateway's address ends with its host and port: pages are under `/.auth` there",
        );
    }
    match config.public_host() {
        None => findings.error(&path, "the gateway's address has no valid host"),
        Some(_) if url.port() == Some(0) && config.listen.https.is_empty() => findings.error(
            &path,
            "a port of 0 stands for that of the first `listen.https` address, and there is none",
        ),
        Some(host) if host.is_loopback() && config.listen.https.iter().any(|a| !a.ip().is_loopback()) => {
            findings.warn(
                &path,
                "names this machine alone, but `listen.https` serves others, whom links would lead nowhere",
                "public_url",
                "set `public_url` to the address that people type",
            );
        }
        Some(_) => {}
    }
}

fn check_listeners(config: &Config, findings: &mut Findings<'_, '_>) {
    let listen = &config.listen;
    if listen.https.is_empty() && listen.plain.is_empty() {
        findings.error(
            &"listen.https".into(),
            "no address: the gateway would serve nobody",
        );
    }
    let mut taken: Vec<SocketAddr> = Vec::new();
    let mut take = |findings: &mut Findings<'_, '_>, path: &KeyPath, address: SocketAddr| match taken
        .iter()
        .find(|other| overlap(**other, address))
    {
        Some(other) if *other == address => findings.error(path, "the same address twice"),
        Some(other) => {
            findings.error(path, format!("overlaps {other}: only one of both can listen"));
        }
        None => taken.push(address),
    };
    for (key, addresses) in [("https", &listen.https), ("http", &listen.http)] {
        for (index, address) in addresses.iter().enumerate() {
            take(findings, &KeyPath::from("listen").key(key).index(index), *address);
        }
    }
    for (index, address) in listen.plain.iter().enumerate() {
        if let PlainAddress::Tcp(address) = address {
            take(findings, &KeyPath::from("listen.plain").index(index), *address);
        }
    }
    check_plain(listen, findings);
    let ops = KeyPath::from("listen.ops");
    match listen.ops_address() {
        Err(_) => findings.error_suggesting(
            &ops,
            "not an address and a port",
            Some("write \"127.0.0.1:9464\", or \"\" to switch it off".to_owned()),
        ),
        Ok(Some(address)) if taken.iter().any(|other| overlap(*other, address)) => {
            findings.error(&ops, "the same address as one that serves people");
        }
        Ok(Some(address)) if !address.ip().is_loopback() => {
            findings.warn(
                &ops,
                "metrics are open to whoever reaches this address",
                "listen.ops",
                "set `listen.ops` to an address of this machine alone, such as \"127.0.0.1:9464\"",
            );
        }
        Ok(_) => {}
    }
    if listen.admin_socket.as_os_str().is_empty() || listen.admin_socket.as_os_str().len() > 107 {
        findings.error(
            &"listen.admin_socket".into(),
            "the path of a socket has 1 to 107 bytes",
        );
    }
    for (index, network) in listen.trusted_proxies.iter().enumerate() {
        if network.prefix_len() == 0 {
            findings.warn(
                &KeyPath::from("listen.trusted_proxies").index(index),
                "every client may say where it comes from",
                "listen.trusted_proxies",
                "name the addresses of the proxies alone in `listen.trusted_proxies`",
            );
        }
    }
    let public = |address: &SocketAddr| !address.ip().is_loopback();
    if config.tls.certificates.is_empty() && listen.https.iter().any(public) {
        findings.warn(
            &"listen.https".into(),
            "reachable by others, who do not know the local authority",
            "tls.certificates",
            "set `tls.certificates`",
        );
    }
}

/// What holds of the addresses of proxies that ended TLS, beside what holds of all.
fn check_plain(listen: &ListenConfig, findings: &mut Findings<'_, '_>) {
    for (index, address) in listen.plain.iter().enumerate() {
        let path = KeyPath::from("listen.plain").index(index);
        match address {
            PlainAddress::Tcp(_) if listen.trusted_proxies.is_empty() => findings.error_suggesting(
                &path,
                "serves `trusted_proxies` alone, and there are none",
                Some("write `trusted_proxies = [\"127.0.0.1/32\"]` for a proxy on this machine".to_owned()),
            ),
            PlainAddress::Tcp(address) if !address.ip().is_loopback() => findings.warn(
                &path,
                "passwords, cookies and what applications answer cross the network in the clear between the proxy and \
                 this address",
                "listen.plain",
                "listen at an address of this machine alone, such as \"127.0.0.1:8081\", or at a Unix socket",
            ),
            PlainAddress::Tcp(_) => {}
            PlainAddress::Unix(socket) => {
                let place = resolve_links(socket);
                let is_here = |other: &PlainAddress| match other {
                    PlainAddress::Unix(other) => resolve_links(other) == place,
                    PlainAddress::Tcp(_) => false,
                };
                if listen.plain[..index].iter().any(is_here) {
                    findings.error(&path, "the same socket twice");
                } else if place == resolve_links(&listen.admin_socket) {
                    findings.error(&path, "the socket of the commands, `listen.admin_socket`");
                }
            }
        }
    }
}

/// Whether two addresses conflict: equal, or one is a wildcard address that covers the other.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |all: IpAddr, one: IpAddr| match all {
        IpAddr::V4(all) => all.is_unspecified() && one.is_ipv4(),
        IpAddr::V6(all) => all.is_unspecified() && (one.is_ipv6() || takes_both()),
    };
    let (here, there) = (one.ip().to_canonical(), other.ip().to_canonical());
    let port = one.port();
    port != 0 && port == other.port() && (here == there || covers(here, there) || covers(there, here))
}

/// Whether sockets on `[::]` accept IPv4 too, by the system's setting.
fn takes_both() -> bool {
    let set = std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only");
    set.is_ok_and(|set| set.trim() == "0")
}

fn check_cookie(config: &Config, findings: &mut Findings<'_, '_>) {
    let session = &config.session;
    if http::Method::from_bytes(session.cookie_name.as_bytes()).is_err() {
        findings.error(
            &"session.cookie_name".into(),
            "not a cookie's name: letters, digits, `-` and `_`",
        );
    } else if session.cookie_name.to_ascii_lowercase().starts_with("__") {
        findings.error(
            &"session.cookie_name".into(),
            "the prefix `__Host-` or `__Secure-` is added by the gateway",
        );
    }
    let path = KeyPath::from("session.cookie_domain");
    let text = &session.cookie_domain;
    if text.is_empty() {
        return;
    }
    let suggestion = text
        .strip_prefix('.')
        .map(|bare| format!("did you mean `{bare}`?"));
    let domain = match text.parse() {
        Ok(HostPattern::Exact(domain)) if !text.starts_with('.') => domain,
        _ => return findings.error_suggesting(&path, "not a domain", suggestion),
    };
    if domain.as_str().starts_with('[') || domain.as_str().parse::<std::net::Ipv4Addr>().is_ok() {
        return findings.error(
            &path,
            "an address: browsers share cookies among the hosts of a domain only",
        );
    }
    if !domain.as_str().contains('.') && !domain.is_loopback() {
        return findings.error(&path, "a top-level domain, for which browsers keep no cookies");
    }
    let Some(public) = config.public_host() else {
        return;
    };
    if !HostPattern::Exact(public.clone()).is_within(&domain) {
        findings.error(
            &path,
            format!("`public_url` is at {public}, which is not in this domain"),
        );
    }
    for (index, route) in config.route.iter().enumerate() {
        if route.host.is_some() && is_outside(route.host_pattern(&public).ok(), &domain) {
            findings.error(
                &KeyPath::from("route").index(index).key("host"),
                format!("outside {domain}, the `session.cookie_domain`: nobody could sign in here"),
            );
        }
    }
}

fn is_outside(pattern: Option<HostPattern>, domain: &Host) -> bool {
    pattern.is_some_and(|pattern| !pattern.is_within(domain))
}

fn check_log(config: &Config, findings: &mut Findings<'_, '_>) {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let level = &config.log.level;
    let is_word = level.bytes().all(|b| b.is_ascii_alphabetic());
    if is_word && !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
        let suggestion = did_you_mean(level, LEVELS);
        findings.error_suggesting(&"log.level".into(), "not a level, nor a filter", suggestion);
    } else if EnvFilter::try_new(level).is_err() {
        findings.error(
            &"log.level".into(),
            "not a filter such as \"info,vestibule::proxy=debug\"",
        );
    }
}
