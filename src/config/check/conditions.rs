//! Checks `allow` and `deny` of routes.

use super::Findings;
use super::access::require_group;
use crate::config::toml_document::KeyPath;
use crate::config::{Allow, Conditions, Config, Network, RouteConfig};

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    for (index, route) in config.route.iter().enumerate() {
        let path = KeyPath::from("route").index(index);
        if let Allow::Conditions(conditions) = &route.allow {
            let path = path.key("allow");
            if conditions.is_empty() {
                findings.error_suggesting(
                    &path,
                    "no condition",
                    Some("write \"authenticated\" for whoever is signed in".to_owned()),
                );
            }
            check_lists(&path, conditions, "nobody could use this route", findings);
        }
        if let Some(deny) = &route.deny {
            let path = path.key("deny");
            if deny.is_empty() {
                findings.error(&path, "no condition: nobody could use this route");
            } else if deny.ask_who() && route.allow == Allow::Public {
                findings.error(
                    &path,
                    "on a public route nobody is asked who they are: only `networks` can hold",
                );
            } else if let Some(why) = nobody_is_left(route, deny) {
                findings.warn(
                    &path,
                    format!("nobody can use this route: {why}"),
                    "route",
                    "deny fewer, or remove the route",
                );
            }
            check_lists(&path, deny, "nobody is turned away by it", findings);
        }
    }
}

/// Checks the lists of conditions; `vain` says what an empty one comes to.
fn check_lists(path: &KeyPath, conditions: &Conditions, vain: &str, findings: &mut Findings<'_, '_>) {
    let lengths = [
        ("groups", "group", conditions.groups.as_ref().map(Vec::len)),
        ("users", "user", conditions.users.as_ref().map(Vec::len)),
        ("networks", "network", conditions.networks.as_ref().map(Vec::len)),
    ];
    for (key, one, length) in lengths {
        if length == Some(0) {
            findings.error(&path.key(key), format!("no {one}: {vain}"));
        }
    }
    for (index, group) in conditions.groups.iter().flatten().enumerate() {
        if let Err(reason) = require_group(group) {
            findings.error(&path.key("groups").index(index), reason);
        }
    }
}

/// Why `deny` turns away all that `allow` lets in; `None` if somebody may be left.
fn nobody_is_left(route: &RouteConfig, deny: &Conditions) -> Option<&'static str> {
    let none = Conditions::default();
    let allow = match &route.allow {
        Allow::Conditions(conditions) => conditions,
        _ => &none,
    };
    let Conditions {
        groups,
        users,
        networks,
    } = deny;
    match (groups, users, networks) {
        (Some(groups), None, None) => {
            let allowed = allow.groups.as_ref()?;
            let all = allowed.iter().all(|group| groups.contains(group));
            all.then_some("`deny` has every group of `allow`")
        }
        (None, Some(users), None) => {
            let allowed = allow.users.as_ref()?;
            let all = allowed.iter().all(|user| users.contains(user));
            all.then_some("`deny` has every user of `allow`")
        }
        (None, None, Some(networks)) => {
            let denies = |network: &Network| networks.iter().any(|denied| denied.covers(*network));
            let all = match &allow.networks {
                Some(allowed) => allowed.iter().all(denies),
                None => Network::EVERYTHING.iter().all(denies),
            };
            all.then_some("`deny` has every network that is left")
        }
        _ => None,
    }
}
