//! Where an application listens, and where a route leads.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use crate::request::Host;

/// Where an application listens. Parsed from `http://`, `https://`, `h2c://` and a host, or `unix:` and a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// HTTP/1.1 in the clear.
    Http(Endpoint),
    /// HTTP over TLS; the certificate must be for the endpoint's host.
    Https(Endpoint),
    /// HTTP/2 in the clear, with prior knowledge (RFC 9113, section 3.3).
    H2c(Endpoint),
    /// HTTP/1.1 over a socket of this machine.
    Unix(PathBuf),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The host.
    pub host: Host,
    /// The port; never 0.
    pub port: u16,
}

/// Why a text names no [`Server`]. Never repeats the text, which may have a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Not a scheme that the gateway speaks.
    #[error("not a server: it begins with none of `http://`, `https://`, `h2c://` and `unix:`")]
    Scheme,
    /// No host, or none that can be one.
    #[error("not a server: no host, or not a valid one")]
    Host,
    /// A port that cannot be one.
    #[error("not a server: the port is not a number from 1 to 65535")]
    Port,
    /// User and password.
    #[error("a server's URL has no user and password; use `headers` for what the application must be told")]
    UserInfo,
    /// Path, query or fragment.
    #[error("a server's URL ends with its host and port: requests keep the path that they were sent with")]
    Path,
    /// `unix:` without a path, or with one that is too long.
    #[error("`unix:` is followed by the path of a socket, of at most 107 bytes")]
    Socket,
}

impl Server {
    /// Whether requests to it stay on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Http(endpoint) | Self::Https(endpoint) | Self::H2c(endpoint) => endpoint.host.is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether requests to it are encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Https(_))
    }
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = if path.starts_with("///") { &path[2..] } else { path };
            return if (1..=107).contains(&path.len()) && !path.contains('\0') {
                Ok(Self::Unix(PathBuf::from(path)))
            } else {
                Err(ServerError::Socket)
            };
        }
        let (scheme, authority) = text.split_once("://").ok_or(ServerError::Scheme)?;
        let (variant, default_port): (fn(Endpoint) -> Self, u16) = match scheme {
            "http" => (Self::Http, 80),
            "https" => (Self::Https, 443),
            "h2c" => (Self::H2c, 80),
            _ => return Err(ServerError::Scheme),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains('@') {
            return Err(ServerError::UserInfo);
        }
        if authority.contains(['/', '?', '#', '\\']) {
            return Err(ServerError::Path);
        }
        // The URL parser knows numeric hosts and internationalised names; `Host` then has one spelling.
        let url = Url::parse(&format!("http://{authority}")).map_err(|error| match error {
            url::ParseError::InvalidPort => ServerError::Port,
            _ => ServerError::Host,
        })?;
        let host = url.host_str().ok_or(ServerError::Host)?;
        let host = host.parse().map_err(|_| ServerError::Host)?;
        // A URL drops the default port of its own scheme, 80.
        let port = if authority.ends_with(":80") {
            Some(80)
        } else {
            url.port()
        };
        match port {
            Some(0) => Err(ServerError::Port),
            port => Ok(variant(Endpoint {
                host,
                port: port.unwrap_or(default_port),
            })),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(endpoint) => write!(f, "http://{endpoint}"),
            Self::Https(endpoint) => write!(f, "https://{endpoint}"),
            Self::H2c(endpoint) => write!(f, "h2c://{endpoint}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'c> {
    /// The application that is built in, for trying out.
    Demo,
    /// An upstream of `[upstream.NAME]`.
    Named(&'c str),
    /// A server of its own.
    Server(Server),
}

impl<'c> Target<'c> {
    /// Reads "demo:", the URL of a server, or the name of an upstream.
    pub fn parse(text: &'c str) -> Result<Self, ServerError> {
        if text == "demo:" {
            Ok(Self::Demo)
        } else if text.contains(':') || text.contains('/') {
            text.parse().map(Self::Server)
        } else {
            Ok(Self::Named(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_shown_in_one_spelling() {
        for (text, shown) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://Console.internal/", "http://console.internal:80"),
            ("https://console.internal", "https://console.internal:443"),
            ("https://console.internal:80", "https://console.internal:80"),
            ("h2c://[::1]:50051", "h2c://[::1]:50051"),
            ("http://127.1:80", "http://127.0.0.1:80"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("unix:///run/app.sock", "unix:/run/app.sock"),
        ] {
            assert_eq!(text.parse::<Server>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused_with_its_reason() {
        for (text, error) in [
            ("", ServerError::Scheme),
            ("127.0.0.1:3000", ServerError::Scheme),
            ("ftp://a", ServerError::Scheme),
            ("http://", ServerError::Host),
            ("http://a b", ServerError::Host),
            ("http://a:x", ServerError::Port),
            ("http://a:0", ServerError::Port),
            ("http://a:70000", ServerError::Port),
            ("http://user:pw@a", ServerError::UserInfo),
            ("http://a/base", ServerError::Path),
            ("http://a?x", ServerError::Path),
            ("unix:", ServerError::Socket),
        ] {
            assert_eq!(text.parse::<Server>(), Err(error), "{text}");
        }
    }

    #[test]
    fn knows_what_leaves_the_machine() {
        assert!("http://localhost:1".parse::<Server>().unwrap().is_local());
        assert!("unix:/a".parse::<Server>().unwrap().is_local());
        assert!(!"http://10.0.0.1:1".parse::<Server>().unwrap().is_local());
        assert!("https://10.0.0.1:1".parse::<Server>().unwrap().is_encrypted());
    }

    #[test]
    fn a_target_is_told_by_its_form() {
        assert_eq!(Target::parse("demo:"), Ok(Target::Demo));
        assert_eq!(Target::parse("console"), Ok(Target::Named("console")));
        assert!(matches!(
            Target::parse("http://a:1"),
            Ok(Target::Server(Server::Http(_)))
        ));
        assert_eq!(Target::parse("localhost:3000"), Err(ServerError::Scheme));
    }
}
