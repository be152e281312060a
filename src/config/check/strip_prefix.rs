//! Checks what routes strip of their paths.

use super::Findings;
use crate::config::toml_document::KeyPath;
use crate::config::{Config, RouteConfig, ServerAddress, StripPrefix, UpstreamTarget, UpstreamUrl};

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    for (index, route) in config.route.iter().enumerate() {
        let path = KeyPath::from("route").index(index).key("strip_prefix");
        if let StripPrefix::Path(prefix) = &route.strip_prefix
            && !begins(&route.path, prefix)
        {
            findings.error(
                &path,
                format!(
                    "not a beginning of the route's path {:?}: write one that ends where one of its segments does, or `true` for \
                     all of it",
                    route.path
                ),
            );
        }
        if stripped(route).is_none() {
            continue;
        }
        if route.compat.is_some() {
            findings.error(
                &path,
                "not together with `compat`, whose paths are those of its own clients",
            );
        }
        let own = addresses(config, route);
        let is_apart = |other: &RouteConfig| {
            stripped(other) != stripped(route)
                && addresses(config, other)
                    .iter()
                    .any(|address| own.contains(address))
        };
        if let Some(other) = config.route.iter().position(is_apart) {
            findings.warn(
                &path,
                format!(
                    "route[{other}] leads to the same application by other paths: of what both lead to, each is for those alone \
                     whom the other admits too, and a public one, which knows nobody, for none of what the other keeps for some"
                ),
                "route",
                "strip the same of both, if one is not meant to open what the other closes",
            );
        }
    }
}

/// The addresses of its application's servers; none if it has no application, or a wrong one.
fn addresses(config: &Config, route: &RouteConfig) -> Vec<ServerAddress> {
    let servers = match route.target() {
        Ok(UpstreamTarget::Server(server)) => vec![server],
        Ok(UpstreamTarget::Named(name)) => config
            .upstream
            .get(name)
            .and_then(|upstream| upstream.parsed_servers().ok())
            .unwrap_or_default(),
        Ok(UpstreamTarget::Demo) | Err(_) => Vec::new(),
    };
    servers.iter().map(UpstreamUrl::server_address).collect()
}

fn stripped(route: &RouteConfig) -> Option<&str> {
    route.strip_prefix.of(&route.path)
}

/// Whether a path begins with a prefix, at a segment border.
fn begins(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'));
    prefix.starts_with('/') && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
