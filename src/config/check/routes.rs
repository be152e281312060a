//! Checks hosts, paths, methods and targets of routes.

use std::fmt::Write as _;

use http::Method;
use url::Url;

use super::Findings;
use super::upstreams::check_server;
use crate::config::suggestion::did_you_mean;
use crate::config::toml_document::KeyPath;
use crate::config::{Allow, Config, HostPattern, Replay, RouteConfig, UpstreamTarget};
use crate::request::Host;

/// The prefix of the gateway's own pages on every host.
const OWN_PAGES: &str = "/.auth";

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    if config.route.is_empty() {
        findings.warn(
            &"route".into(),
            "no route: every path but the gateway's own pages answers 404; a gateway that serves routes refuses to be reloaded with this",
            "route",
            "add a `[[route]]`",
        );
    }
    for (index, route) in config.route.iter().enumerate() {
        let path = KeyPath::from("route").index(index);
        if let Some(host) = &route.host {
            check_host(&path.key("host"), host, findings);
        }
        if let Err(reason) = require_path(&route.path) {
            let written = written_plainly(&route.path);
            let suggestion = require_path(&written).map(|()| format!("write {written:?}"));
            findings.error_suggesting(&path.key("path"), reason, suggestion.ok());
        }
        check_methods(&path.key("methods"), &route.methods, findings);
        check_answer(&path, route, config, findings);
        check_target(&path.key("upstream"), route, config, findings);
        check_signatures(&path, route, config, findings);
    }
    if let Some(public) = config.public_host() {
        check_likeness(&config.route, &public, findings);
    }
}

fn check_host(path: &KeyPath, host: &str, findings: &mut Findings<'_, '_>) {
    if host.parse::<HostPattern>().is_err() {
        let message = if host.contains('*') {
            "not a host: the only wildcard is `*.` and a domain"
        } else if host.parse::<Host>().is_ok() {
            "a route's host has no port"
        } else {
            "not a host such as \"console.example.com\""
        };
        findings.error(path, message);
    }
}

fn require_path(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("a path begins with `/`");
    }
    if path == OWN_PAGES
        || path
            .strip_prefix(OWN_PAGES)
            .is_some_and(|rest| rest.starts_with('/'))
    {
        return Err("`/.auth` is the gateway's own");
    }
    if path.contains("//") || path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("a route's path has no `//`, `/./` or `/../`: such requests are refused or ambiguous");
    }
    if path.contains(['?', '#', '\\', '*']) {
        return Err("a path alone: no query, fragment, `\\` or wildcard; it stands for all paths below it");
    }
    if path.contains('%') {
        return require_plain_escapes(path);
    }
    if !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("a path as it is sent: spaces and letters beyond ASCII are percent-encoded");
    }
    Ok(())
}

/// Routes match the path as it is sent, so an escape that clients do not write, or write differently, never
/// matches.
fn require_plain_escapes(path: &str) -> Result<(), &'static str> {
    const REASON: &str =
        "only what must be percent-encoded is, with upper-case digits; never `/`, `\\` or dots";
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('%') {
        let digits = after.get(..2).ok_or(REASON)?;
        let is_upper_hex = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
        let byte = u8::from_str_radix(digits, 16).map_err(|_| REASON)?;
        if !digits.bytes().all(is_upper_hex)
            || byte.is_ascii_control()
            || byte.is_ascii_alphanumeric()
            || b"-._~/\\".contains(&byte)
        {
            return Err(REASON);
        }
        rest = &after[2..];
    }
    Ok(())
}

/// Returns a path in the form that clients send: only what must be is percent-encoded, in upper case.
fn written_plainly(path: &str) -> String {
    let mut written = String::new();
    let mut rest = path.as_bytes();
    while let [byte, after @ ..] = rest {
        let escaped = after
            .get(..2)
            .filter(|_| *byte == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, is_escaped) = match escaped {
            Some(byte) => (byte, true),
            None => (*byte, false),
        };
        let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_unreserved || byte.is_ascii_graphic() && !is_escaped {
            written.push(char::from(byte));
        } else {
            let _ = write!(written, "%{byte:02X}");
        }
        rest = if is_escaped { &after[2..] } else { after };
    }
    written
}

fn check_signatures(path: &KeyPath, route: &RouteConfig, config: &Config, findings: &mut Findings<'_, '_>) {
    const UNUSED: &str = "says nothing: requests are signed only with `login.iam = true`";
    const NOT_JUDGED: &str = "says nothing: on a public route nobody asks who signed a request";
    for (is_set, key) in [
        (route.replay != Replay::Off, "replay"),
        (route.unsigned_payload, "unsigned_payload"),
        (!route.presigned, "presigned"),
    ] {
        if is_set && !config.login.iam {
            findings.warn(
                &path.key(key),
                UNUSED,
                "login.iam",
                "set `login.iam = true`, or remove it",
            );
        } else if is_set && route.allow == Allow::Public {
            findings.warn(
                &path.key(key),
                NOT_JUDGED,
                "route",
                "set another `allow`, or remove it",
            );
        }
    }
}

fn check_methods(path: &KeyPath, methods: &[String], findings: &mut Findings<'_, '_>) {
    for (index, method) in methods.iter().enumerate() {
        let upper = method.to_ascii_uppercase();
        if Method::from_bytes(method.as_bytes()).is_err() {
            findings.error(&path.index(index), "not a method");
        } else if matches!(upper.as_str(), "CONNECT" | "TRACE") {
            findings.error(&path.index(index), "the gateway never forwards this method");
        } else if *method != upper {
            findings.error_suggesting(
                &path.index(index),
                "methods are told apart by case",
                Some(format!("did you mean `{upper}`?")),
            );
        }
    }
}

/// Checks what the gateway answers with itself.
fn check_answer(path: &KeyPath, route: &RouteConfig, config: &Config, findings: &mut Findings<'_, '_>) {
    if let Some(url) = &route.redirect {
        let path = path.key("redirect");
        if !is_redirect(url) {
            findings.error(
                &path,
                "not a URL with http or https and a host, nor a path that begins with one `/`; letters beyond ASCII are \
                 percent-encoded",
            );
        } else if is_loop(route, url, config) {
            findings.error(&path, "leads to this route again");
        }
    }
    if route.compress && (route.redirect.is_some() || route.respond.is_some()) {
        findings.warn(
            &path.key("compress"),
            "says nothing: the gateway compresses what it answers itself without it",
            "route",
            "remove it",
        );
    }
    let Some(respond) = &route.respond else {
        return;
    };
    let path = path.key("respond");
    if route.redirect.is_some() {
        findings.error(&path, "a route has one of `upstream`, `redirect` and `respond`");
    }
    let status = respond.status;
    if !matches!(status, 200..=299 | 400..=599) {
        findings.error(
            &path.key("status"),
            "a status from 200 to 299 or from 400 to 599; a redirect is `redirect`",
        );
    } else if matches!(status, 204 | 205) && !respond.text.is_empty() {
        findings.error(
            &path.key("text"),
            format!("an answer with status {status} has no text"),
        );
    }
}

/// Whether a redirect may lead there: a `Location` that every client reads alike.
fn is_redirect(url: &str) -> bool {
    if !url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return false;
    }
    if let Some(path) = url.strip_prefix('/') {
        return !path.starts_with('/');
    }
    let has_authority = url.starts_with("https://") || url.starts_with("http://");
    has_authority && Url::parse(url).is_ok_and(|url| url.has_host())
}

/// Whether a redirect to a path leads to its own route again: no page, and no route with a longer path, has the target.
fn is_loop(route: &RouteConfig, url: &str, config: &Config) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let below = |prefix: &str| {
        let rest = path.strip_prefix(prefix.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let goes_before = |other: &RouteConfig| {
        let is_of_host = config.public_host().is_some_and(|public| {
            let (own, others) = (route.host_pattern(&public), other.host_pattern(&public));
            own.is_ok() && own.ok() == others.ok()
        });
        let length = |route: &RouteConfig| route.path.trim_end_matches('/').len();
        is_of_host && length(other) > length(route) && below(&other.path)
    };
    below(&route.path) && !below(OWN_PAGES) && !config.route.iter().any(goes_before)
}

fn check_target(path: &KeyPath, route: &RouteConfig, config: &Config, findings: &mut Findings<'_, '_>) {
    let is_answered = route.redirect.is_some() || route.respond.is_some();
    if route.upstream.is_empty() && is_answered {
        return;
    }
    if is_answered {
        findings.error(path, "a route has one of `upstream`, `redirect` and `respond`");
    }
    if route.upstream.is_empty() {
        return findings.error_suggesting(
            path,
            "is missing",
            Some("write the name of an upstream, a URL, or \"demo:\"".to_owned()),
        );
    }
    match route.target() {
        Ok(UpstreamTarget::Demo) => {}
        Ok(UpstreamTarget::Named(name)) => {
            // An upstream with errors in it counts as present.
            let is_there = findings.document.has(&KeyPath::from("upstream").key(name));
            if !is_there {
                let suggestion = did_you_mean(name, config.upstream.keys().map(String::as_str))
                    .or_else(|| did_you_mean(name, ["demo:"]))
                    .unwrap_or_else(|| "name it in `[upstream.NAME]`, or write a URL".to_owned());
                findings.error_suggesting(path, "no such upstream", Some(suggestion));
            }
        }
        Ok(UpstreamTarget::Server(server)) => check_server(path, Ok(server), findings),
        Err(error) => check_server(path, Err(error), findings),
    }
}

fn check_likeness(routes: &[RouteConfig], public: &Host, findings: &mut Findings<'_, '_>) {
    for (index, route) in routes.iter().enumerate() {
        if let Some(first) = routes[..index]
            .iter()
            .position(|other| are_alike(other, route, public))
        {
            findings.error(
                &KeyPath::from("route").index(index),
                format!("the same host, path and method as route[{first}]: which one is meant?"),
            );
        }
    }
}

fn are_alike(one: &RouteConfig, other: &RouteConfig, public: &Host) -> bool {
    let same_host = match (one.host_pattern(public), other.host_pattern(public)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    };
    let same_method = one.methods.is_empty()
        || other.methods.is_empty()
        || one.methods.iter().any(|method| other.methods.contains(method));
    same_host && same_method && one.path.trim_end_matches('/') == other.path.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_suggested_as_clients_send_it() {
        for (path, written) in [
            ("/홈", "/%ED%99%88"),
            ("/%ed%99%88", "/%ED%99%88"),
            ("/a b/%61%2d", "/a%20b/a-"),
            ("/%3b", "/%3B"),
            ("/a;b", "/a;b"),
        ] {
            assert_eq!(written_plainly(path), written);
            assert_eq!(require_path(written), Ok(()), "{path}");
        }
        // Paths that cannot be valid are never suggested.
        for path in ["/%2f", "/%2e%2e/x", "/%5c", "/%00", "/%4", "a b"] {
            assert!(require_path(&written_plainly(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn paths_are_those_that_are_sent() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/.well-known",
            "/.authors",
            "/a.b/..c",
            "/%ED%99%88",
            "/a;b=1",
            "/a%20b",
        ] {
            assert_eq!(require_path(path), Ok(()), "{path}");
        }
        for path in [
            "",
            "a",
            "/.auth",
            "/.auth/login",
            "//",
            "/a//b",
            "/a/../b",
            "/.",
            "/a?b",
            "/a#b",
            "/a\\b",
            "/a*",
            "/%2e",
            "/%2E",
            "/%2F",
            "/%61",
            "/%ed",
            "/%4",
            "/%zz",
            "/%+1",
            "/a b",
            "/홈",
            "/%0A",
            "/%é",
        ] {
            assert!(require_path(path).is_err(), "{path}");
        }
    }
}
