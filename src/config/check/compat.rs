//! Checks routes with `compat` against the other routes of their hosts.

use super::Findings;
use crate::config::toml_document::KeyPath;
use crate::config::{Allow, Config, RouteConfig};
use crate::request::Host;

/// Path prefixes that Backend.AI's session form takes, below its route.
const TAKEN: [&str; 2] = ["/server", "/func"];

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    let Some(public) = config.public_host() else {
        return;
    };
    for (index, route) in config.route.iter().enumerate() {
        if route.compat.is_none() {
            continue;
        }
        if route.allow == Allow::Public {
            findings.warn(
                &KeyPath::from("route").index(index).key("compat"),
                "says nothing: on a public route nobody is asked to sign in",
                "route",
                "set `allow = \"authenticated\"`, or remove `compat`",
            );
        }
        for (other_index, other) in config.route.iter().enumerate() {
            if other_index != index && on_the_same_hosts(route, other, &public) {
                check_neighbour((index, route), (other_index, other), findings);
            }
        }
    }
}

fn check_neighbour(
    (index, route): (usize, &RouteConfig),
    (other_index, other): (usize, &RouteConfig),
    findings: &mut Findings<'_, '_>,
) {
    let Some(rest) = below(&route.path, &other.path) else {
        return;
    };
    let key = KeyPath::from("route").index(other_index);
    if rest.is_empty() {
        if other.compat.is_none() {
            findings.error(
                &key,
                format!("route[{index}] has the same path and `compat`: write it for both, or for neither"),
            );
        }
    } else if let Some(taken) = TAKEN.iter().find(|taken| below(taken, rest).is_some()) {
        findings.error(
            &key.key("path"),
            format!(
                "`{}{taken}` belongs to route[{index}], which has `compat`",
                base(&route.path)
            ),
        );
    } else {
        findings.warn(
            &key.key("path"),
            format!(
                "not reached in session form: `{}/func{rest}` is refused, as the path after `/func` is not route[{index}]'s",
                base(&route.path)
            ),
            "route",
            "give one of both another `host`",
        );
    }
}

/// Returns the rest of a path below another, at a segment border.
fn below<'p>(path: &str, other: &'p str) -> Option<&'p str> {
    let rest = base(other).strip_prefix(base(path))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

fn base(path: &str) -> &str {
    path.trim_end_matches('/')
}

fn on_the_same_hosts(one: &RouteConfig, other: &RouteConfig, public: &Host) -> bool {
    match (one.host_pattern(public), other.host_pattern(public)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
