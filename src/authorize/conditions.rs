//! Whether the conditions of a route hold for a request.

use std::net::IpAddr;

use crate::config::{Conditions, NamedUser, Network};
use crate::model::Principal;

/// A kind of [`Conditions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `groups`
    Groups,
    /// `users`
    Users,
    /// `networks`
    Networks,
}

impl Condition {
    /// Its key in the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Users => "users",
            Self::Networks => "networks",
        }
    }
}

/// Returns the first condition that does not hold, that of the network first; `None` if all hold. No condition on an account
/// holds for an anonymous request.
pub fn unmet(conditions: &Conditions, who: Option<&Principal>, client: IpAddr) -> Option<Condition> {
    let Conditions {
        groups,
        users,
        networks,
    } = conditions;
    let is_there = |networks: &Vec<Network>| networks.iter().any(|network| network.contains(client));
    let is_member =
        |groups: &Vec<String>| who.is_some_and(|who| groups.iter().any(|group| who.groups.contains(group)));
    let is_named = |users: &Vec<NamedUser>| who.is_some_and(|who| users.iter().any(|user| user.names(who)));
    if networks.as_ref().is_some_and(|networks| !is_there(networks)) {
        Some(Condition::Networks)
    } else if groups.as_ref().is_some_and(|groups| !is_member(groups)) {
        Some(Condition::Groups)
    } else if users.as_ref().is_some_and(|users| !is_named(users)) {
        Some(Condition::Users)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AccountId;
    use crate::model::SignInMethod;

    fn ann(email_verified: bool) -> Principal {
        Principal {
            account: AccountId::from_bytes([0; 16]),
            username: "ann".parse().unwrap(),
            email: "Ann@Example.com".parse().unwrap(),
            email_verified,
            name: "Ann".to_owned(),
            groups: ["ops".to_owned()].into(),
            method: SignInMethod::Password,
            session: None,
            expires_at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn unmet(toml: &str, who: Option<&Principal>, client: &str) -> Option<Condition> {
        let conditions: Conditions = toml::from_str(toml).unwrap();
        super::unmet(&conditions, who, client.parse().unwrap())
    }

    #[test]
    fn all_conditions_must_hold_and_of_each_list_one_entry() {
        let ann = ann(true);
        let by = Some(&ann);
        for (toml, client, expected) in [
            ("", "192.0.2.1", None),
            (r#"groups = ["dev", "ops"]"#, "192.0.2.1", None),
            (r#"groups = ["dev", "op"]"#, "192.0.2.1", Some(Condition::Groups)),
            ("groups = []", "192.0.2.1", Some(Condition::Groups)),
            (r#"users = ["bob", "ann"]"#, "192.0.2.1", None),
            (r#"users = ["ANN@example.com"]"#, "192.0.2.1", None),
            (r#"users = ["anna"]"#, "192.0.2.1", Some(Condition::Users)),
            ("users = []", "192.0.2.1", Some(Condition::Users)),
            (r#"networks = ["10.0.0.0/8", "192.0.2.1"]"#, "192.0.2.1", None),
            (r#"networks = ["192.0.2.0/24"]"#, "::ffff:192.0.2.9", None),
            (r#"networks = ["::ffff:192.0.2.9"]"#, "192.0.2.9", None),
            (r#"networks = ["2001:db8::/32"]"#, "2001:db8::1", None),
            (
                r#"networks = ["0.0.0.0/0"]"#,
                "2001:db8::1",
                Some(Condition::Networks),
            ),
            ("networks = []", "192.0.2.1", Some(Condition::Networks)),
            (
                r#"groups = ["ops"]
                users = ["ann"]
                networks = ["10.0.0.0/8"]"#,
                "192.0.2.1",
                Some(Condition::Networks),
            ),
            (
                r#"groups = ["ops"]
                users = ["bob"]"#,
                "192.0.2.1",
                Some(Condition::Users),
            ),
        ] {
            assert_eq!(unmet(toml, by, client), expected, "{toml} {client}");
        }
    }

    #[test]
    fn nobody_is_in_a_group_or_named_and_an_unverified_address_names_nobody() {
        assert_eq!(
            unmet(r#"groups = ["ops"]"#, None, "192.0.2.1"),
            Some(Condition::Groups)
        );
        assert_eq!(
            unmet(r#"users = ["ann"]"#, None, "192.0.2.1"),
            Some(Condition::Users)
        );
        assert_eq!(unmet(r#"networks = ["192.0.2.1"]"#, None, "192.0.2.1"), None);
        let unverified = ann(false);
        for (user, expected) in [("ann", None), ("ann@example.com", Some(Condition::Users))] {
            let toml = format!("users = [\"{user}\"]");
            assert_eq!(unmet(&toml, Some(&unverified), "192.0.2.1"), expected, "{user}");
        }
    }
}
