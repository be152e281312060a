//! Host patterns of routes: a host, or `*.` and a domain.

use std::fmt;
use std::str::FromStr;

use crate::request::{Host, HostError};

/// One host, or all subdomains of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host only.
    Exact(Host),
    /// `*.domain`: all subdomains at any depth, not the domain itself.
    Below(Host),
}

impl HostPattern {
    /// Returns the host, unless it is a wildcard.
    pub fn exact(&self) -> Option<&Host> {
        match self {
            Self::Exact(host) => Some(host),
            Self::Below(_) => None,
        }
    }

    /// Whether the pattern matches a host.
    pub fn matches(&self, host: &Host) -> bool {
        match self {
            Self::Exact(own) => own == host,
            Self::Below(domain) => host.is_below(domain),
        }
    }

    /// Whether everything that it matches is `domain` or a subdomain.
    pub fn is_within(&self, domain: &Host) -> bool {
        let (Self::Exact(own) | Self::Below(own)) = self;
        own == domain || own.is_below(domain)
    }
}

impl FromStr for HostPattern {
    type Err = HostError;

    /// Parses a host without a port, or `*.` and a domain.
    fn from_str(text: &str) -> Result<Self, HostError> {
        let (name, is_wildcard) = match text.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (text, false),
        };
        let host: Host = name.parse()?;
        let has_port =
            name.starts_with('[') && !name.ends_with(']') || !name.starts_with('[') && name.contains(':');
        let is_address = name.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok();
        if has_port || is_wildcard && is_address {
            return Err(HostError);
        }
        Ok(if is_wildcard {
            Self::Below(host)
        } else {
            Self::Exact(host)
        })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => write!(f, "{host}"),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    #[test]
    fn a_wildcard_is_what_lies_below() {
        let below = pattern("*.Example.com");
        assert_eq!(below.to_string(), "*.example.com");
        assert!(below.matches(&host("a.example.com")) && below.matches(&host("a.b.example.com")));
        assert!(!below.matches(&host("example.com")) && !below.matches(&host("badexample.com")));
        assert!(pattern("a.com").matches(&host("A.com")) && !pattern("a.com").matches(&host("b.a.com")));
    }

    #[test]
    fn a_domain_holds_itself_and_what_is_below() {
        let domain = host("example.com");
        for within in ["example.com", "a.example.com", "*.example.com", "*.a.example.com"] {
            assert!(pattern(within).is_within(&domain), "{within}");
        }
        for outside in ["com", "*.com", "badexample.com", "example.org"] {
            assert!(!pattern(outside).is_within(&domain), "{outside}");
        }
    }

    #[test]
    fn other_wildcards_and_ports_are_refused() {
        for text in [
            "",
            "*",
            "*.",
            "a.*.com",
            "*a.com",
            "**.com",
            "a.com:443",
            "[::1]:443",
            "*.127.0.0.1",
            "https://a.com",
        ] {
            assert_eq!(text.parse::<HostPattern>(), Err(HostError), "{text}");
        }
        assert_eq!(pattern("[::1]").to_string(), "[::1]");
    }
}
