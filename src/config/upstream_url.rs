//! URLs of servers, and the targets of routes.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{self, Path, PathBuf};
use std::str::FromStr;

use url::Url;

use crate::request::Host;

/// The URL of a server: `http://`, `https://` or `h2c://` and a host, or `unix:` and a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamUrl {
    /// HTTP/1.1, unencrypted.
    Http(Endpoint),
    /// HTTP/1.1 over TLS; the certificate must be for the endpoint's host.
    Https(Endpoint),
    /// HTTP/2 with prior knowledge, unencrypted (RFC 9113, section 3.3).
    H2c(Endpoint),
    /// HTTP/1.1 over a Unix socket.
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

/// The place that a URL leads to, whatever its scheme and spelling: URLs with equal addresses name one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// A port of this machine.
    Local(u16),
    /// A port of another address.
    Address(SocketAddr),
    /// A port of a host that is known by its name only.
    Name(Endpoint),
    /// A Unix socket, with the links in its path followed.
    Socket(PathBuf),
}

/// Names that systems give to the loopback interface in `/etc/hosts`, beside `localhost`.
const LOOPBACK_NAMES: [&str; 7] = [
    "ip6-localhost",
    "ip6-loopback",
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
];

/// Why a server's URL is invalid. Never contains any of it, since it may have a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamUrlError {
    /// An unsupported scheme.
    #[error("not a server: it begins with none of `http://`, `https://`, `h2c://` and `unix:`")]
    Scheme,
    /// No host, or an invalid one.
    #[error("not a server: no host, or not a valid one")]
    Host,
    /// An invalid port.
    #[error("not a server: the port is not a number from 1 to 65535")]
    Port,
    /// A user and password.
    #[error("a server's URL has no user and password; use `headers` for what the application must be told")]
    UserInfo,
    /// A path, query or fragment.
    #[error("a server's URL ends with its host and port: requests keep the path that they were sent with")]
    Path,
    /// `unix:` without a path, or with one that is too long.
    #[error("`unix:` is followed by the path of a socket, of at most 107 bytes")]
    Socket,
}

impl UpstreamUrl {
    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        self.endpoint().is_none_or(|endpoint| endpoint.host.is_loopback())
    }

    /// Returns the address of the server, for comparison. Reads the machine's own name and the links in the path
    /// of a socket, so it belongs to the start and to reloads.
    pub fn server_address(&self) -> ServerAddress {
        match self {
            Self::Http(endpoint) | Self::Https(endpoint) | Self::H2c(endpoint) => {
                endpoint.server_address(read_hostname().as_deref())
            }
            Self::Unix(path) => ServerAddress::Socket(follow_links(path)),
        }
    }

    /// Returns the host, and the port unless it is the scheme's default (RFC 9110, section 7.2): what its server is asked
    /// for. A socket has no name: it is asked for `localhost`.
    pub fn authority(&self) -> String {
        let default = if self.is_encrypted() { 443 } else { 80 };
        match self.endpoint() {
            Some(Endpoint { host, port }) if *port == default => host.to_string(),
            Some(Endpoint { host, port }) => format!("{host}:{port}"),
            None => "localhost".to_owned(),
        }
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Http(endpoint) | Self::Https(endpoint) | Self::H2c(endpoint) => Some(endpoint),
            Self::Unix(_) => None,
        }
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Https(_))
    }
}

impl Endpoint {
    /// Connections to the unspecified address reach this machine, and those to an IPv4-mapped one reach the IPv4
    /// address.
    fn server_address(&self, own_hostname: Option<&str>) -> ServerAddress {
        let Self { host, port } = self;
        match host.address().map(|address| address.to_canonical()) {
            Some(address) if address.is_loopback() || address.is_unspecified() => ServerAddress::Local(*port),
            Some(address) => ServerAddress::Address(SocketAddr::new(address, *port)),
            None if host.is_loopback()
                || LOOPBACK_NAMES.contains(&host.as_str())
                || own_hostname.is_some_and(|own| names_machine(host, own)) =>
            {
                ServerAddress::Local(*port)
            }
            None => ServerAddress::Name(self.clone()),
        }
    }
}

/// Whether a host is the machine's own hostname, whole or without its domain.
fn names_machine(host: &Host, hostname: &str) -> bool {
    let hostname = hostname.trim().trim_end_matches('.');
    let label = hostname.split('.').next().unwrap_or_default();
    [hostname, label]
        .iter()
        .any(|name| host.as_str().eq_ignore_ascii_case(name))
}

fn read_hostname() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/hostname").ok()
}

/// Follows the links in the path of a socket, which need not exist yet.
fn follow_links(socket: &Path) -> PathBuf {
    let socket = path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
    let in_folder = || Some(socket.parent()?.canonicalize().ok()?.join(socket.file_name()?));
    let followed = socket.canonicalize().ok().or_else(in_folder);
    followed.unwrap_or(socket)
}

impl FromStr for UpstreamUrl {
    type Err = UpstreamUrlError;

    fn from_str(text: &str) -> Result<Self, UpstreamUrlError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = if path.starts_with("///") { &path[2..] } else { path };
            return if (1..=107).contains(&path.len()) && !path.contains('\0') {
                Ok(Self::Unix(PathBuf::from(path)))
            } else {
                Err(UpstreamUrlError::Socket)
            };
        }
        let (scheme, authority) = text.split_once("://").ok_or(UpstreamUrlError::Scheme)?;
        let (variant, default_port): (fn(Endpoint) -> Self, u16) = match scheme {
            "http" => (Self::Http, 80),
            "https" => (Self::Https, 443),
            "h2c" => (Self::H2c, 80),
            _ => return Err(UpstreamUrlError::Scheme),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains('@') {
            return Err(UpstreamUrlError::UserInfo);
        }
        if authority.contains(['/', '?', '#', '\\']) {
            return Err(UpstreamUrlError::Path);
        }
        // The URL parser normalizes numeric hosts and internationalised names.
        let url = Url::parse(&format!("http://{authority}")).map_err(|error| match error {
            url::ParseError::InvalidPort => UpstreamUrlError::Port,
            _ => UpstreamUrlError::Host,
        })?;
        let host = url.host_str().ok_or(UpstreamUrlError::Host)?;
        let host = host.parse().map_err(|_| UpstreamUrlError::Host)?;
        // `Url` drops the default port of `http`, 80.
        let port = if authority.ends_with(":80") {
            Some(80)
        } else {
            url.port()
        };
        match port {
            Some(0) => Err(UpstreamUrlError::Port),
            port => Ok(variant(Endpoint {
                host,
                port: port.unwrap_or(default_port),
            })),
        }
    }
}

impl fmt::Display for UpstreamUrl {
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

/// The target of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamTarget<'c> {
    /// The built-in demo.
    Demo,
    /// An upstream, `[upstream.NAME]`.
    Named(&'c str),
    /// A server without a section of its own.
    Server(UpstreamUrl),
}

impl<'c> UpstreamTarget<'c> {
    /// Parses "demo:", the URL of a server, or the name of an upstream.
    pub fn parse(text: &'c str) -> Result<Self, UpstreamUrlError> {
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
            assert_eq!(text.parse::<UpstreamUrl>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused_with_its_reason() {
        for (text, error) in [
            ("", UpstreamUrlError::Scheme),
            ("127.0.0.1:3000", UpstreamUrlError::Scheme),
            ("ftp://a", UpstreamUrlError::Scheme),
            ("http://", UpstreamUrlError::Host),
            ("http://a b", UpstreamUrlError::Host),
            ("http://a:x", UpstreamUrlError::Port),
            ("http://a:0", UpstreamUrlError::Port),
            ("http://a:70000", UpstreamUrlError::Port),
            ("http://user:pw@a", UpstreamUrlError::UserInfo),
            ("http://a/base", UpstreamUrlError::Path),
            ("http://a?x", UpstreamUrlError::Path),
            ("unix:", UpstreamUrlError::Socket),
        ] {
            assert_eq!(text.parse::<UpstreamUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn s75_a_server_is_one_by_every_scheme_and_by_every_name_of_this_machine() {
        let local = "http://127.0.0.1:3000".parse::<UpstreamUrl>().unwrap();
        for name in [
            "localhost",
            "LOCALHOST.",
            "app.localhost",
            "127.1.2.3",
            "0.0.0.0",
            "0",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:0.0.0.0]",
            "localhost.localdomain",
            "localhost4",
            "localhost6",
            "localhost6.localdomain6",
            "ip6-localhost",
            "ip6-loopback",
            read_hostname().unwrap().trim(),
        ] {
            for scheme in ["http", "https", "h2c"] {
                let text = format!("{scheme}://{name}:3000");
                let address = text.parse::<UpstreamUrl>().unwrap().server_address();
                assert_eq!(address, local.server_address(), "{text}");
            }
        }
    }

    #[test]
    fn s75_a_machine_is_named_by_its_hostname_with_and_without_the_domain() {
        for (hostname, host, is_own) in [
            ("box\n", "box", true),
            ("Box.lan", "box.lan", true),
            ("box.lan", "box", true),
            ("box", "box.lan", false),
            ("box", "boxes", false),
            ("box.lan", "lan", false),
            ("box.lan", "other.lan", false),
        ] {
            let endpoint = Endpoint {
                host: host.parse().unwrap(),
                port: 80,
            };
            let address = endpoint.server_address(Some(hostname));
            assert_eq!(address == ServerAddress::Local(80), is_own, "{hostname:?} {host}");
        }
    }

    #[test]
    fn s75_a_socket_is_one_by_every_link_to_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        std::os::unix::fs::symlink("run", folder.path().join("link")).unwrap();
        let at = |name: &str| UpstreamUrl::Unix(folder.path().join(name)).server_address();
        assert_eq!(at("run/app.sock"), at("link/app.sock"));
        assert_ne!(at("run/app.sock"), at("run/other.sock"));
        fs::write(folder.path().join("run/app.sock"), "").unwrap();
        std::os::unix::fs::symlink("app.sock", folder.path().join("run/other.sock")).unwrap();
        assert_eq!(at("run/app.sock"), at("link/other.sock"));
    }

    #[test]
    fn a_server_is_another_on_another_port_or_host() {
        for (one, other, is_same) in [
            ("http://localhost:3000", "http://127.0.0.1:3000", true),
            ("http://[::1]:3000", "h2c://localhost:3000", true),
            ("https://app.test", "http://app.test:443", true),
            ("http://localhost:3000", "http://localhost:3001", false),
            ("http://localhost:3000", "http://app.test:3000", false),
            ("http://app.test:3000", "http://other.test:3000", false),
            ("http://10.0.0.1", "http://[::ffff:10.0.0.1]", true),
            ("http://10.0.0.1", "http://10.0.0.2", false),
            ("unix:/a", "unix:/a", true),
            ("unix:/a", "unix:/b", false),
            ("unix:/a", "http://localhost", false),
        ] {
            let server = |text: &str| text.parse::<UpstreamUrl>().unwrap();
            assert_eq!(
                server(one).server_address() == server(other).server_address(),
                is_same,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn knows_what_leaves_the_machine() {
        assert!("http://localhost:1".parse::<UpstreamUrl>().unwrap().is_local());
        assert!("unix:/a".parse::<UpstreamUrl>().unwrap().is_local());
        assert!(!"http://10.0.0.1:1".parse::<UpstreamUrl>().unwrap().is_local());
        assert!(
            "https://10.0.0.1:1"
                .parse::<UpstreamUrl>()
                .unwrap()
                .is_encrypted()
        );
    }

    #[test]
    fn a_target_is_told_by_its_form() {
        assert_eq!(UpstreamTarget::parse("demo:"), Ok(UpstreamTarget::Demo));
        assert_eq!(
            UpstreamTarget::parse("console"),
            Ok(UpstreamTarget::Named("console"))
        );
        assert!(matches!(
            UpstreamTarget::parse("http://a:1"),
            Ok(UpstreamTarget::Server(UpstreamUrl::Http(_)))
        ));
        assert_eq!(
            UpstreamTarget::parse("localhost:3000"),
            Err(UpstreamUrlError::Scheme)
        );
    }
}
