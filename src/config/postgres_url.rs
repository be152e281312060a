//! Parses PostgreSQL URLs, as far as they are supported: `postgres://user:password@host:port/database?…`
//!
//! Hand-written: the parser of tokio-postgres knows neither `sslmode=verify-full` nor `sslrootcert`, and its
//! errors do not say what to write instead.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::secret::Secret;

/// PostgreSQL's default port.
const PORT: u16 = 5432;

/// The parameters of a connection.
#[derive(Clone, Debug)]
pub struct PostgresUrl {
    /// The server's host, or the folder of its socket, which begins with `/`.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The role's password.
    pub password: Option<Secret<String>>,
    /// The database.
    pub database: String,
    /// TLS verification.
    pub tls: PostgresTls,
}

/// TLS verification of a database server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostgresTls {
    /// No TLS.
    Off,
    /// Against the system's trust anchors and the host name.
    SystemRoots,
    /// Against the trust anchors in this file, and the host name.
    Roots(PathBuf),
}

/// Why a database URL is invalid. Never contains any of it.
#[derive(Debug, thiserror::Error)]
pub enum PostgresUrlError {
    /// Not a database URL.
    #[error(
        "not a database's URL such as `postgres://user:password@host:5432/database`; what is special in a name or a \
         password is percent-encoded"
    )]
    Malformed,
    /// Several servers.
    #[error("it names several hosts: name one")]
    SeveralHosts,
    /// No host and no socket folder.
    #[error("it names no host; for a socket in a folder end it with `?host=/run/postgresql`")]
    NoHost,
    /// No role.
    #[error("it names no user: `postgres://user@host/database`")]
    NoUser,
    /// No database.
    #[error("it names no database: `postgres://user@host/database`")]
    NoDatabase,
    /// Unsupported query parameters.
    #[error("what follows the `?` is `host`, `port`, `sslmode` and `sslrootcert`, each at most once")]
    Parameter,
    /// An unsupported `sslmode`, or one that does not verify the server.
    #[error(
        "`sslmode` is `disable` or `verify-full` (`require` is taken for that too): with the others whoever is in between can \
         read and change everything"
    )]
    SslMode,
    /// Trust anchors without TLS.
    #[error("`sslrootcert` is of no use with `sslmode=disable`")]
    UselessRoots,
}

impl PostgresUrl {
    /// Parses what follows `postgres:`.
    pub(super) fn parse(rest: &str) -> Result<Self, PostgresUrlError> {
        use PostgresUrlError::{Malformed, NoDatabase, NoHost, NoUser, Parameter, SeveralHosts};
        let rest = rest.strip_prefix("//").ok_or(Malformed)?;
        if rest.contains('#') {
            return Err(Malformed);
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, server) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(Secret::new(decoded(password)?.into_owned()))),
            None => (credentials, None),
        };
        let mut parameters = Parameters::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "host" => &mut parameters.host,
                "port" => &mut parameters.port,
                "sslmode" => &mut parameters.sslmode,
                "sslrootcert" => &mut parameters.sslrootcert,
                _ => return Err(Parameter),
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(Parameter);
            }
        }
        let (host, port) = split_port(server)?;
        let host = parameters.host.take().unwrap_or(decoded(host)?.into_owned());
        let port = match parameters.port.as_deref().or(port) {
            Some(port) => port.parse().map_err(|_| Malformed)?,
            None => PORT,
        };
        let (user, database) = (decoded(user)?, decoded(database)?);
        if host.contains(',') {
            return Err(SeveralHosts);
        }
        for (part, missing) in [(&*host, NoHost), (&*user, NoUser), (&*database, NoDatabase)] {
            if part.is_empty() {
                return Err(missing);
            }
            if part.contains('\0') {
                return Err(Malformed);
            }
        }
        Ok(Self {
            tls: parameters.tls(is_near(&host))?,
            host,
            port,
            user: user.into_owned(),
            password,
            database: database.into_owned(),
        })
    }

    /// Whether data is sent over a network unencrypted.
    pub fn is_bare(&self) -> bool {
        self.tls == PostgresTls::Off && !is_near(&self.host)
    }
}

/// Query parameters.
#[derive(Default)]
struct Parameters {
    host: Option<String>,
    port: Option<String>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
}

impl Parameters {
    fn tls(self, is_near: bool) -> Result<PostgresTls, PostgresUrlError> {
        let is_wanted = match self.sslmode.as_deref() {
            Some("disable") => false,
            Some("require" | "verify-full") => true,
            Some(_) => return Err(PostgresUrlError::SslMode),
            None => !is_near || self.sslrootcert.is_some(),
        };
        match (is_wanted, self.sslrootcert) {
            (true, Some(file)) => Ok(PostgresTls::Roots(PathBuf::from(file))),
            (true, None) => Ok(PostgresTls::SystemRoots),
            (false, None) => Ok(PostgresTls::Off),
            (false, Some(_)) => Err(PostgresUrlError::UselessRoots),
        }
    }
}

/// Without the password.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            port,
            user,
            database,
            ..
        } = self;
        if host.starts_with('/') {
            write!(f, "postgres://{user}@/{database}?host={host}")
        } else if host.contains(':') {
            write!(f, "postgres://{user}@[{host}]:{port}/{database}")
        } else {
            write!(f, "postgres://{user}@{host}:{port}/{database}")
        }
    }
}

impl Eq for PostgresUrl {}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        let same_password = match (&self.password, &other.password) {
            (Some(one), Some(other)) => one.matches(other.expose().as_bytes()),
            (one, other) => one.is_none() && other.is_none(),
        };
        (&self.host, self.port, &self.user, &self.database, &self.tls)
            == (&other.host, other.port, &other.user, &other.database, &other.tls)
            && same_password
    }
}

fn decoded(text: &str) -> Result<Cow<'_, str>, PostgresUrlError> {
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| PostgresUrlError::Malformed)
}

/// Splits host and port; an IPv6 address must be in brackets.
fn split_port(server: &str) -> Result<(&str, Option<&str>), PostgresUrlError> {
    if let Some(rest) = server.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or(PostgresUrlError::Malformed)?;
        return match port.strip_prefix(':') {
            Some(port) => Ok((address, Some(port))),
            None if port.is_empty() => Ok((address, None)),
            None => Err(PostgresUrlError::Malformed),
        };
    }
    Ok(match server.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (server, None),
    })
}

/// Whether the server is on this machine.
fn is_near(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<PostgresUrl, PostgresUrlError> {
        PostgresUrl::parse(url.split_once(':').unwrap().1)
    }

    #[test]
    fn a_url_says_which_database_and_how_its_server_proves_itself() {
        let roots = || PostgresTls::Roots(PathBuf::from("ca.pem"));
        for (url, shown, tls) in [
            (
                "postgres://u@db.example.com/d",
                "postgres://u@db.example.com:5432/d",
                PostgresTls::SystemRoots,
            ),
            (
                "postgresql://u:p%40%3Ax@db:6543/my%20db?sslmode=require",
                "postgres://u@db:6543/my db",
                PostgresTls::SystemRoots,
            ),
            (
                "postgres://u:p@db/d?sslmode=disable",
                "postgres://u@db:5432/d",
                PostgresTls::Off,
            ),
            (
                "postgres://u@db/d?sslrootcert=ca.pem",
                "postgres://u@db:5432/d",
                roots(),
            ),
            (
                "postgres://u@localhost/d",
                "postgres://u@localhost:5432/d",
                PostgresTls::Off,
            ),
            (
                "postgres://u@127.0.0.1/d?sslmode=verify-full&sslrootcert=ca.pem",
                "postgres://u@127.0.0.1:5432/d",
                roots(),
            ),
            (
                "postgres://u@[2001:db8::1]:5433/d",
                "postgres://u@[2001:db8::1]:5433/d",
                PostgresTls::SystemRoots,
            ),
            (
                "postgres://u@/d?host=/run/postgresql",
                "postgres://u@/d?host=/run/postgresql",
                PostgresTls::Off,
            ),
            (
                "postgres://u@%2Frun%2Fpostgresql/d",
                "postgres://u@/d?host=/run/postgresql",
                PostgresTls::Off,
            ),
        ] {
            let parsed = parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(parsed.to_string(), shown, "{url}");
            assert_eq!(parsed.tls, tls, "{url}");
            assert_eq!(parsed.is_bare(), url.ends_with("=disable"), "{url}");
        }
        let password = parse("postgres://u:p%40%3Ax@db/d").unwrap().password;
        assert_eq!(password.unwrap().expose(), "p@:x");
    }

    #[test]
    fn what_is_none_is_refused_without_a_word_of_what_is_in_it() {
        for url in [
            "postgres:hunter2",
            "postgres://",
            "postgres://u:hunter2@h",
            "postgres://u:hunter2@h/",
            "postgres://hunter2/d",
            "postgres://u:hunter2@/d",
            "postgres://:hunter2@h/d",
            "postgres://u:hunter2@h:port/d",
            "postgres://u:hunter2@h1,h2/d",
            "postgres://u:hunter2@[::1/d",
            "postgres://u:hunter#2@h/d",
            "postgres://u:%ff@h/d",
            "postgres://u:hunter?2@h/d",
            "postgres://u:hunter2@h/d?sslmode=prefer",
            "postgres://u:hunter2@h/d?sslmode=verify-ca",
            "postgres://u:hunter2@h/d?sslmode=disable&sslmode=disable",
            "postgres://u:hunter2@h/d?sslmode=disable&sslrootcert=x",
            "postgres://u:hunter2@h/d?options=hunter2",
        ] {
            let error = parse(url)
                .map(|parsed| parsed.to_string())
                .unwrap_err()
                .to_string();
            assert!(!error.contains("hunter"), "{url}: {error}");
        }
        assert!(!format!("{:?}", parse("postgres://u:hunter2@h/d")).contains("hunter2"));
    }

    #[test]
    fn another_password_is_another_url() {
        let url = |password: &str| parse(&format!("postgres://u:{password}@h/d")).unwrap();
        assert_eq!(url("one"), url("one"));
        assert_ne!(url("one"), url("two"));
        assert_ne!(url("one"), parse("postgres://u@h/d").unwrap());
    }
}
