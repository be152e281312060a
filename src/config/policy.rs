//! The policy of a route: `allow` and `deny`, and whether they let a request in.

use std::net::IpAddr;

use super::{Allow, Conditions, Network};
use crate::model::Principal;

/// Who may use a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Who may.
    pub allow: Allow,
    /// Who may not, whatever `allow` says.
    pub deny: Option<Conditions>,
}

/// Why a policy lets a request not in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyRefusal {
    /// `deny` holds.
    Denied,
    /// Nobody is signed in.
    Anonymous,
    /// A condition of `allow` does not hold.
    Unmet(Condition),
}

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

impl Policy {
    /// Returns why a request is not let in; `None` if it is. A client whose address is not known is in no network of `allow`,
    /// and in every one of `deny`. That of the network comes before what a sign-in could change.
    pub fn refusal(&self, who: Option<&Principal>, client: Option<IpAddr>) -> Option<PolicyRefusal> {
        let is_in = |networks: &[Network], client| networks.iter().any(|network| network.contains(client));
        let denies = |networks: &[Network]| client.is_none_or(|client| is_in(networks, client));
        if let Some(deny) = &self.deny
            && deny.unmet(who, denies).is_none()
        {
            return Some(PolicyRefusal::Denied);
        }
        let unmet = match &self.allow {
            Allow::Public | Allow::Optional => return None,
            Allow::Authenticated => None,
            Allow::Conditions(conditions) => conditions.unmet(who, |networks| {
                client.is_some_and(|client| is_in(networks, client))
            }),
        };
        match unmet {
            Some(Condition::Networks) => Some(PolicyRefusal::Unmet(Condition::Networks)),
            _ if who.is_none() => Some(PolicyRefusal::Anonymous),
            unmet => unmet.map(PolicyRefusal::Unmet),
        }
    }

    /// Whether a change of the account may change what it comes to.
    pub fn depends_on_account(&self) -> bool {
        let allowed = match &self.allow {
            Allow::Conditions(conditions) => Some(conditions),
            _ => None,
        };
        let conditions = allowed.into_iter().chain(&self.deny);
        conditions.into_iter().any(Conditions::ask_who)
    }
}

impl Conditions {
    /// Returns the first condition that does not hold; `None` if all hold. `is_within` says whether the client is in one of
    /// the networks. No condition on an account holds for an anonymous request.
    fn unmet(
        &self,
        who: Option<&Principal>,
        is_within: impl FnOnce(&[Network]) -> bool,
    ) -> Option<Condition> {
        let Self {
            groups,
            users,
            networks,
        } = self;
        let is_member = |who: &Principal| groups.iter().flatten().any(|group| who.groups.contains(group));
        let is_named = |who: &Principal| users.iter().flatten().any(|user| user.names(who));
        if networks.as_deref().is_some_and(|networks| !is_within(networks)) {
            Some(Condition::Networks)
        } else if groups.is_some() && !who.is_some_and(is_member) {
            Some(Condition::Groups)
        } else if users.is_some() && !who.is_some_and(is_named) {
            Some(Condition::Users)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AccountId;
    use crate::model::SignInMethod;

    const NETWORKS: Option<PolicyRefusal> = Some(PolicyRefusal::Unmet(Condition::Networks));
    const GROUPS: Option<PolicyRefusal> = Some(PolicyRefusal::Unmet(Condition::Groups));
    const USERS: Option<PolicyRefusal> = Some(PolicyRefusal::Unmet(Condition::Users));
    const ANONYMOUS: Option<PolicyRefusal> = Some(PolicyRefusal::Anonymous);
    const DENIED: Option<PolicyRefusal> = Some(PolicyRefusal::Denied);

    /// Ann, who was called Anna once.
    fn ann(email_verified: bool) -> Principal {
        Principal {
            account: AccountId::from_bytes([0; 16]),
            username: "ann".parse().unwrap(),
            former_usernames: vec!["anna".parse().unwrap()],
            email: "Ann@Example.com".parse().unwrap(),
            email_verified,
            name: "Ann".to_owned(),
            groups: ["ops".to_owned()].into(),
            method: SignInMethod::Password,
            session: None,
            expires_at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn allow(toml: &str) -> Policy {
        Policy {
            allow: Allow::Conditions(toml::from_str(toml).unwrap()),
            deny: None,
        }
    }

    fn deny(toml: &str) -> Policy {
        Policy {
            allow: Allow::Authenticated,
            deny: Some(toml::from_str(toml).unwrap()),
        }
    }

    fn at(client: &str) -> Option<IpAddr> {
        client.parse().ok()
    }

    #[test]
    fn all_conditions_must_hold_and_of_each_list_one_entry() {
        let ann = ann(true);
        for (toml, client, expected) in [
            (r#"groups = ["dev", "ops"]"#, "192.0.2.1", None),
            (r#"groups = ["dev", "op"]"#, "192.0.2.1", GROUPS),
            ("groups = []", "192.0.2.1", GROUPS),
            (r#"users = ["bob", "ann"]"#, "192.0.2.1", None),
            (r#"users = ["anna"]"#, "192.0.2.1", None),
            (r#"users = ["ANN@example.com"]"#, "192.0.2.1", None),
            (r#"users = ["an"]"#, "192.0.2.1", USERS),
            ("users = []", "192.0.2.1", USERS),
            (r#"networks = ["10.0.0.0/8", "192.0.2.1"]"#, "192.0.2.1", None),
            (r#"networks = ["192.0.2.0/24"]"#, "::ffff:192.0.2.9", None),
            (r#"networks = ["::ffff:192.0.2.9"]"#, "192.0.2.9", None),
            (r#"networks = ["::ffff:192.0.2.0/120"]"#, "192.0.2.9", None),
            (r#"networks = ["2001:db8::/32"]"#, "2001:db8::1", None),
            (r#"networks = ["0.0.0.0/0"]"#, "2001:db8::1", NETWORKS),
            (r#"networks = ["0.0.0.0/0", "::/0"]"#, "not known", NETWORKS),
            ("networks = []", "192.0.2.1", NETWORKS),
            (
                r#"groups = ["dev"]
                networks = ["10.0.0.0/8"]"#,
                "192.0.2.1",
                NETWORKS,
            ),
            (
                r#"groups = ["ops"]
                users = ["bob"]"#,
                "192.0.2.1",
                USERS,
            ),
        ] {
            assert_eq!(
                allow(toml).refusal(Some(&ann), at(client)),
                expected,
                "{toml} {client}"
            );
        }
    }

    #[test]
    fn conditions_ask_for_a_sign_in_where_one_could_help() {
        for (toml, expected) in [
            (r#"groups = ["ops"]"#, ANONYMOUS),
            (r#"users = ["ann"]"#, ANONYMOUS),
            (r#"networks = ["192.0.2.1"]"#, ANONYMOUS),
            (r#"networks = ["192.0.2.2"]"#, NETWORKS),
        ] {
            assert_eq!(allow(toml).refusal(None, at("192.0.2.1")), expected, "{toml}");
        }
    }

    #[test]
    fn an_unverified_address_names_no_account() {
        let unverified = ann(false);
        for (user, expected) in [("ann", None), ("ann@example.com", USERS)] {
            let policy = allow(&format!("users = [\"{user}\"]"));
            assert_eq!(
                policy.refusal(Some(&unverified), at("192.0.2.1")),
                expected,
                "{user}"
            );
        }
    }

    #[test]
    fn who_meets_all_of_deny_is_turned_away() {
        let ann = ann(true);
        for (toml, client, signed_in, anonymous) in [
            (r#"groups = ["ops"]"#, "192.0.2.1", DENIED, ANONYMOUS),
            (r#"groups = ["dev"]"#, "192.0.2.1", None, ANONYMOUS),
            // A new name changes nothing.
            (r#"users = ["anna"]"#, "192.0.2.1", DENIED, ANONYMOUS),
            (r#"networks = ["192.0.2.0/24"]"#, "192.0.2.1", DENIED, DENIED),
            (r#"networks = ["192.0.2.0/24"]"#, "192.0.3.1", None, ANONYMOUS),
            (r#"networks = ["192.0.2.0/24"]"#, "not known", DENIED, DENIED),
            (
                r#"networks = ["192.0.2.0/24"]
                users = ["ann"]"#,
                "192.0.3.1",
                None,
                ANONYMOUS,
            ),
        ] {
            let policy = deny(toml);
            assert_eq!(
                policy.refusal(Some(&ann), at(client)),
                signed_in,
                "{toml} {client}"
            );
            assert_eq!(policy.refusal(None, at(client)), anonymous, "{toml} {client}");
        }
        let public = Policy {
            allow: Allow::Public,
            ..deny(r#"networks = ["192.0.2.1"]"#)
        };
        assert_eq!(public.refusal(None, at("192.0.2.1")), DENIED);
        assert_eq!(public.refusal(None, at("192.0.2.2")), None);
    }
}
