//! Checks names, servers and certificates of upstreams.

use std::time::Duration;

use http::uri::PathAndQuery;

use rustls_pki_types::ServerName;

use super::Findings;
use super::certificates::check_pair;
use crate::config::toml_document::KeyPath;
use crate::config::{Config, UpstreamConfig, UpstreamTarget, UpstreamUrl};
use crate::trust_anchors::read_trust_anchors;

/// More checks would be load.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    for (name, upstream) in &config.upstream {
        let path = KeyPath::from("upstream").key(name);
        if !matches!(UpstreamTarget::parse(name), Ok(UpstreamTarget::Named(_))) || name.trim().is_empty() {
            findings.error(
                &path,
                "not an upstream's name: a route that names it would take it for a URL; give it a plain name, and the URL as `servers`",
            );
        }
        if upstream.servers.is_empty() {
            findings.error_suggesting(
                &path.key("servers"),
                "needs at least one server",
                Some("write `servers = [\"http://127.0.0.1:3000\"]`".to_owned()),
            );
        }
        for (index, server) in upstream.servers.iter().enumerate() {
            check_server(&path.key("servers").index(index), server.parse(), findings);
        }
        check_balance(&path, upstream, findings);
        if upstream.max_connections == 0 {
            findings.error(&path.key("max_connections"), "must be at least 1");
        }
        if let Some(file) = &upstream.ca
            && let Err(error) = read_trust_anchors(file)
        {
            findings.error(&path.key("ca"), format!("{} {error}", file.display()));
        }
        check_tls(&path, upstream, findings);
        let leads_here = |target| target == Ok(UpstreamTarget::Named(name.as_str()));
        if !config.route.is_empty() && !config.route.iter().any(|route| leads_here(route.target())) {
            findings.warn(
                &path,
                "no route leads to it",
                &path.to_string(),
                "name it as the `upstream` of a `[[route]]`, or remove it",
            );
        }
    }
}

fn check_tls(path: &KeyPath, upstream: &UpstreamConfig, findings: &mut Findings<'_, '_>) {
    let servers = upstream.parsed_servers().unwrap_or_default();
    let is_plain = !servers.is_empty()
        && !servers
            .iter()
            .any(|server| matches!(server, UpstreamUrl::Https(_)));
    let keys = [
        ("server_name", upstream.server_name.is_some()),
        ("client_certificate", upstream.client_certificate.is_some()),
    ];
    for (key, _) in keys.iter().filter(|(_, is_given)| *is_given && is_plain) {
        findings.warn(
            &path.key(key),
            "without effect: none of its servers is `https://`",
            &path.to_string(),
            "write `https://` where the application speaks TLS, or remove the key",
        );
    }
    if let Some(name) = &upstream.server_name
        && ServerName::try_from(name.as_str()).is_err()
    {
        findings.error(&path.key("server_name"), "not a host's name, without a port");
    }
    if let Some(pair) = &upstream.client_certificate {
        check_pair(&path.key("client_certificate"), pair, "upstream", findings);
    }
}

fn check_balance(path: &KeyPath, upstream: &UpstreamConfig, findings: &mut Findings<'_, '_>) {
    let (weights, health) = (&upstream.weights, &upstream.health);
    if !weights.is_empty() && weights.len() != upstream.servers.len() {
        findings.error(
            &path.key("weights"),
            format!(
                "must be as many as there are `servers`: {} for {}",
                weights.len(),
                upstream.servers.len()
            ),
        );
    }
    for (index, weight) in weights.iter().enumerate() {
        if !(1..=100).contains(weight) {
            findings.error(
                &path.key("weights").index(index),
                "must be from 1 to 100: to give a server no requests, take it from `servers`",
            );
        }
    }
    let path = path.key("health");
    let target = health.path.as_ref().map(|target| target.parse::<PathAndQuery>());
    if target.is_some_and(|target| {
        target.is_err() || !health.path.as_ref().is_some_and(|path| path.starts_with('/'))
    }) {
        findings.error(
            &path.key("path"),
            "not a path: write one that begins with a slash",
        );
    }
    if !health.status.is_empty() && health.path.is_none() {
        findings.error(
            &path.key("status"),
            "needs `path`: without it nothing is asked that has a status",
        );
    }
    for (index, status) in health.status.iter().enumerate() {
        if !(200..=599).contains(status) {
            findings.error(&path.key("status").index(index), "must be from 200 to 599");
        }
    }
    if health.interval.0 < SHORTEST_INTERVAL {
        findings.error(&path.key("interval"), "must be at least 100ms");
    }
    if health.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
        findings.error(&path.key("timeout"), "must be longer than 0");
    }
    for (count, key) in [
        (health.rise, "rise"),
        (health.fall, "fall"),
        (health.failures, "failures"),
    ] {
        if count == 0 {
            findings.error(&path.key(key), "must be at least 1");
        }
    }
}

pub(super) fn check_server(
    path: &KeyPath,
    server: Result<UpstreamUrl, crate::config::UpstreamUrlError>,
    findings: &mut Findings<'_, '_>,
) {
    match server {
        Err(error) => findings.error(path, error.to_string()),
        Ok(server) if !server.is_encrypted() && !server.is_local() => {
            findings.warn(
                path,
                "not encrypted, and not on this machine: whoever is on the way reads and may change it",
                &path.to_string(),
                "write `https://` where the application speaks TLS",
            );
        }
        Ok(_) => {}
    }
}
