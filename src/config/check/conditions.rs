//! Checks `allow` and `deny` of routes.

use super::Findings;
use super::access::require_group;
use crate::config::toml_document::KeyPath;
use crate::config::{Allow, Conditions, Config, NamedUser, Network, RouteConfig};

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    for (index, route) in config.route.iter().enumerate() {
        let path = KeyPath::from("route").index(index);
        for (key, conditions) in route.conditions() {
            let trusted = &config.listen.trusted_proxies;
            let is_proxy = |network: &Network| trusted.iter().any(|proxies| network.overlaps(proxies));
            for (index, _) in conditions
                .networks
                .iter()
                .flatten()
                .enumerate()
                .filter(|(_, network)| is_proxy(network))
            {
                findings.warn(
                    &path.key(key).key("networks").index(index),
                    "overlaps `listen.trusted_proxies`, which may name any address: a client there is in no network of `allow`",
                    "listen.trusted_proxies",
                    "trust the addresses of the proxies alone",
                );
            }
        }
        if let Allow::Conditions(conditions) = &route.allow {
            let path = path.key("allow");
            if conditions.count() == 0 {
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
            if deny.count() == 0 {
                findings.error(&path, "no condition: nobody could use this route");
            } else if deny.ask_who() && matches!(route.allow, Allow::Public | Allow::Optional) {
                findings.error(
                    &path,
                    "whoever is turned away comes back signed out: on a public or an optional route only `networks` can stand here",
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
            for (index, user) in deny.users.iter().flatten().enumerate() {
                if let NamedUser::Email(_) = user {
                    findings.error(
                        &path.key("users").index(index),
                        "an address can be changed by its owner: name the username",
                    );
                }
            }
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
