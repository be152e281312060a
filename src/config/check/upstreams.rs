//! Checks names, servers and certificates of upstreams.

use super::Findings;
use crate::config::toml_document::KeyPath;
use crate::config::{Config, UpstreamTarget, UpstreamUrl};
use crate::trust_anchors::read_trust_anchors;

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
        if upstream.max_connections == 0 {
            findings.error(&path.key("max_connections"), "must be at least 1");
        }
        if let Some(file) = &upstream.ca
            && let Err(error) = read_trust_anchors(file)
        {
            findings.error(&path.key("ca"), format!("{} {error}", file.display()));
        }
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
