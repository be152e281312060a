//! Host names, normalized and without a port.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::parse_decimal;

/// A host name or address: lower case, no port, no trailing dot, IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(String);

/// A text that is no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host's name")]
pub struct HostError;

impl Host {
    /// Returns the normalized name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a subdomain of `domain`, at any depth; false for `domain` itself.
    pub fn is_below(&self, domain: &Self) -> bool {
        let labels = self.0.strip_suffix(&*domain.0);
        labels.is_some_and(|labels| labels.ends_with('.'))
    }

    /// Whether it is `localhost`, below `.localhost`, or a loopback address.
    pub fn is_loopback(&self) -> bool {
        self.0 == "localhost"
            || self.0.ends_with(".localhost")
            || self.address().is_some_and(|address| address.is_loopback())
    }

    /// Returns the address, if it is one and not a name.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

impl FromStr for Host {
    type Err = HostError;

    /// Parses `name`, `name:port`, `1.2.3.4:port` or `[v6]:port` (RFC 9110, section 7.2).
    fn from_str(authority: &str) -> Result<Self, HostError> {
        let name = if let Some(rest) = authority.strip_prefix('[') {
            let (address, after) = rest.split_once(']').ok_or(HostError)?;
            let address: std::net::Ipv6Addr = address.parse().map_err(|_| HostError)?;
            if !is_port_suffix(after) {
                return Err(HostError);
            }
            return Ok(Self(format!("[{address}]")));
        } else {
            match authority.find(':') {
                Some(colon) => {
                    if !is_port_suffix(&authority[colon..]) {
                        return Err(HostError);
                    }
                    &authority[..colon]
                }
                None => authority,
            }
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.';
        if name.is_empty()
            || name.len() > 253
            || name.split('.').any(str::is_empty)
            || !name.bytes().all(allowed)
        {
            return Err(HostError);
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

fn is_port_suffix(text: &str) -> bool {
    let is_port = |port: &str| port.is_empty() || parse_decimal::<u16>(port).is_some();
    text.is_empty() || text.strip_prefix(':').is_some_and(is_port)
}

/// Returns the port of an authority, if it has one.
pub fn port_of(authority: &str) -> Option<u16> {
    let (_, port) = authority.rsplit_once(':')?;
    port.parse().ok()
}

impl TryFrom<String> for Host {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        text.parse()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        for (sent, host) in [
            ("Example.COM:8443", "example.com"),
            ("example.com.", "example.com"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]:8443", "[::1]"),
            ("[0:0::1]", "[::1]"),
        ] {
            assert_eq!(sent.parse::<Host>().unwrap().as_str(), host);
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for sent in [
            "", ":80", "a:b", "a b", "a/b", "a@b", "[::1", "[::1]x", "a..b", "a:123456", "a:65536", "a:+1",
            "a:0443", "[::1]:00", "a\\b", "a:1:2",
        ] {
            assert_eq!(sent.parse::<Host>(), Err(HostError), "{sent}");
        }
    }

    #[test]
    fn knows_the_machine_itself() {
        for name in ["localhost", "app.localhost", "127.0.0.1", "[::1]"] {
            assert!(name.parse::<Host>().unwrap().is_loopback(), "{name}");
        }
        assert!(!"example.com".parse::<Host>().unwrap().is_loopback());
    }
}
