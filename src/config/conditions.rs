//! Conditions of a route: who makes a request, and from where.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::from_text::from_text;
use crate::model::{Email, Principal, Username};

/// Conditions on who makes a request, and from where. All that are given must hold; of a list, one entry must.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Conditions {
    /// Groups that the account may be in.
    pub groups: Option<Vec<String>>,
    /// Accounts: usernames, which count when they were changed too, or e-mail addresses, which count where they are verified.
    #[schemars(with = "Option<Vec<String>>")]
    pub users: Option<Vec<NamedUser>>,
    /// Networks or addresses that the client's address may be in.
    #[schemars(with = "Option<Vec<String>>")]
    pub networks: Option<Vec<Network>>,
}

impl Conditions {
    /// Conditions of groups alone.
    pub fn of_groups(groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            groups: Some(groups.into_iter().map(Into::into).collect()),
            ..Self::default()
        }
    }

    /// Whether they ask who makes the request.
    pub fn ask_who(&self) -> bool {
        self.groups.is_some() || self.users.is_some()
    }

    /// How many are given.
    pub fn count(&self) -> usize {
        let given = [
            self.groups.is_some(),
            self.users.is_some(),
            self.networks.is_some(),
        ];
        given.into_iter().filter(|is_given| *is_given).count()
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(name: &str, entries: Option<&Vec<T>>) -> Option<String> {
            let entries: Vec<String> = entries?.iter().map(T::to_string).collect();
            Some(format!("{name} {}", entries.join(", ")))
        }
        let given = [
            list("groups", self.groups.as_ref()),
            list("users", self.users.as_ref()),
            list("networks", self.networks.as_ref()),
        ];
        let given: Vec<String> = given.into_iter().flatten().collect();
        f.write_str(&given.join("; "))
    }
}

/// An account as a configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedUser {
    /// By its address, which counts only where it is verified: whoever signs up may claim any other.
    Email(Email),
    /// By its username.
    Username(Username),
}

impl NamedUser {
    /// Whether it names the principal's account.
    pub fn names(&self, who: &Principal) -> bool {
        match self {
            Self::Email(email) => who.email_verified && who.email == *email,
            // No other account is ever given a former one.
            Self::Username(username) => who.username == *username || who.former_usernames.contains(username),
        }
    }
}

impl FromStr for NamedUser {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('@') {
            text.parse().map(Self::Email).map_err(|error| error.to_string())
        } else {
            text.parse()
                .map(Self::Username)
                .map_err(|error| error.to_string())
        }
    }
}

impl fmt::Display for NamedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email(email) => email.fmt(f),
            Self::Username(username) => username.fmt(f),
        }
    }
}

/// The bits of an IPv6 address that say that it is an IPv4 one (RFC 4291, section 2.5.5.2).
const MAPPED: u8 = 96;

/// A network, or a single address as the network of itself. What is written as IPv6 and means IPv4 is the latter, as clients'
/// addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// All addresses.
    pub const EVERYTHING: [Self; 2] = [
        Self(IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0))),
        Self(IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0))),
    ];

    /// Whether an address is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether it and another network have addresses in common.
    pub fn overlaps(self, other: &IpNet) -> bool {
        self.0.contains(other) || other.contains(&self.0)
    }

    /// Whether all of another network is in it.
    pub fn covers(self, other: Self) -> bool {
        self.0.contains(&other.0)
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        let network = address.or_else(|_| text.parse::<IpNet>());
        let network = network.map_err(|_| "not a network such as \"10.0.0.0/8\", nor an address")?;
        let IpNet::V6(v6) = network else {
            return Ok(Self(network));
        };
        match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(MAPPED)) {
            (None, _) => Ok(Self(network)),
            (Some(v4), Some(length)) => Ipv4Net::new(v4, length)
                .map(|network| Self(network.into()))
                .map_err(|_| "not a network such as \"10.0.0.0/8\""),
            (Some(_), None) => Err("more than IPv4 addresses: write a network such as \"10.0.0.0/8\""),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

impl<'de> Deserialize<'de> for NamedUser {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a username or an e-mail address", str::parse)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a network such as \"10.0.0.0/8\"", str::parse)
    }
}

impl Serialize for NamedUser {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_user_or_network_is_refused() {
        for wrong in [
            r#"users = ["a b"]"#,
            r#"users = ["ann@"]"#,
            r#"users = "ann""#,
            r#"networks = ["10.0.0.0/33"]"#,
            r#"networks = ["office"]"#,
            r#"networks = ["::ffff:10.0.0.0/90"]"#,
            r#"group = ["ops"]"#,
        ] {
            assert!(toml::from_str::<Conditions>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn conditions_are_shown_as_they_are_understood() {
        let toml = r#"
            networks = ["10.0.0.0/8", "::ffff:192.0.2.9", "::ffff:192.0.2.0/120", "2001:db8::1/128"]
            users = ["Ann", "Bob@Example.com"]
            groups = ["ops", "dev"]"#;
        let conditions: Conditions = toml::from_str(toml).unwrap();
        assert_eq!(
            conditions.to_string(),
            "groups ops, dev; users ann, Bob@Example.com; networks 10.0.0.0/8, 192.0.2.9, 192.0.2.0/24, 2001:db8::1"
        );
    }
}
