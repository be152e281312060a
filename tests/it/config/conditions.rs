//! `allow` and `deny` of routes.

use super::{errors, warnings, with};

#[test]
fn conditions_that_cannot_be_are_refused_and_those_that_leave_nobody_warned_of() {
    let route = |text: &str| with("") + text;
    for (text, key, message) in [
        ("allow = {}", "route[0].allow", "no condition"),
        ("allow = { users = [] }", "route[0].allow.users", "no user"),
        ("allow = { users = [\"a b\"] }", "route[0].allow.users[0]", ""),
        (
            "allow = { networks = [\"office\"] }",
            "route[0].allow.networks[0]",
            "not a network",
        ),
        (
            "allow = { network = [] }",
            "route[0].allow.network",
            "unknown key",
        ),
        ("allow = \"everybody\"", "route[0].allow", "not one of \"public\""),
        ("allow = [\"ops\"]", "route[0].allow", "expected"),
        ("deny = {}", "route[0].deny", "no condition"),
        ("deny = \"public\"", "route[0].deny", "expected a table"),
        (
            "deny = { groups = [\"a,b\"] }",
            "route[0].deny.groups[0]",
            "comma",
        ),
        (
            "allow = \"public\"\ndeny = { groups = [\"ops\"] }",
            "route[0].deny",
            "comes back signed out",
        ),
        (
            "allow = \"optional\"\ndeny = { users = [\"ann\"] }",
            "route[0].deny",
            "comes back signed out",
        ),
        (
            "deny = { users = [\"ann\", \"ann@example.com\"] }",
            "route[0].deny.users[1]",
            "name the username",
        ),
    ] {
        let errors = errors(&route(text));
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        assert!(
            errors[0].contains(&format!(": {key}: ")) && errors[0].contains(message),
            "{text}: {errors:?}"
        );
    }
    for (text, count) in [
        ("deny = { groups = [\"ops\"] }", 0),
        ("deny = { networks = [\"0.0.0.0/0\"] }", 0),
        ("deny = { networks = [\"0.0.0.0/0\", \"::/0\"] }", 1),
        (
            "allow = { networks = [\"10.1.0.0/16\"] }\ndeny = { networks = [\"10.0.0.0/8\"] }",
            1,
        ),
        (
            "allow = { groups = [\"a\"] }\ndeny = { groups = [\"b\", \"a\"] }",
            1,
        ),
        (
            "allow = { groups = [\"a\", \"c\"] }\ndeny = { groups = [\"b\", \"a\"] }",
            0,
        ),
        ("allow = { users = [\"ann\"] }\ndeny = { users = [\"Ann\"] }", 1),
        (
            "allow = { users = [\"ann\"] }\ndeny = { users = [\"ann\"], networks = [\"10.0.0.0/8\"] }",
            0,
        ),
    ] {
        let warnings = warnings(&route(text));
        assert_eq!(warnings.len(), count, "{text}: {warnings:?}");
    }
    let behind = "[listen]\ntrusted_proxies = [\"10.0.0.0/8\"]\n";
    for (network, count) in [("10.1.2.0/24", 1), ("0.0.0.0/0", 1), ("192.0.2.0/24", 0)] {
        let text = with(behind) + &format!("allow = {{ networks = [\"{network}\"] }}");
        let warnings = warnings(&text);
        assert_eq!(warnings.len(), count, "{text}: {warnings:?}");
    }
}
