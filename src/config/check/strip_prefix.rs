//! Checks what routes strip of their paths.

use super::Findings;
use crate::config::toml_document::KeyPath;
use crate::config::{Config, RouteConfig, StripPrefix};

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    for (index, route) in config.route.iter().enumerate() {
        let path = KeyPath::from("route").index(index).key("strip_prefix");
        if let StripPrefix::Path(prefix) = &route.strip_prefix
            && !begins(&route.path, prefix)
        {
            findings.error(
                &path,
                format!(
                    "no beginning of the route's path {:?}: write one that ends where one of its segments does, or `true` for \
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
        let is_apart = |other: &RouteConfig| {
            !route.upstream.is_empty()
                && other.upstream == route.upstream
                && stripped(other) != stripped(route)
        };
        if let Some(other) = config.route.iter().position(is_apart) {
            findings.warn(
                &path,
                format!(
                    "route[{other}] leads to the same application by other paths: of what both lead to, each is for those alone \
                     whom the other admits too"
                ),
                "route",
                "strip the same of both, if one is not meant to open what the other closes",
            );
        }
    }
}

fn stripped(route: &RouteConfig) -> Option<&str> {
    route.strip_prefix.of(&route.path)
}

/// Whether a path begins with a prefix, at a segment border.
fn begins(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'));
    prefix.starts_with('/') && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
