//! `[mail]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

use super::{SecretError, SecretSource};
use crate::secret::Secret;

/// How mail is sent.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// The mail server: `smtps://user:password@host`, or `smtp://user:password@host:587?tls=required`; with
    /// `tls=opportunistic` unencrypted where the server cannot do better, without `tls` always. Or `file:` and a folder
    /// into which mails are written instead.
    #[schemars(extend("default" = "file:data/outbox"))]
    pub url: SecretSource,
    /// The sender.
    pub from: String,
    /// The folder that a relative path in `url` is relative to.
    #[serde(skip)]
    pub base: PathBuf,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            url: SecretSource::Text(Secret::new("file:data/outbox".to_owned())),
            from: "Vestibule <no-reply@localhost>".to_owned(),
            base: PathBuf::new(),
        }
    }
}

impl MailConfig {
    /// How `url` says that mail is sent.
    pub fn transport(&self) -> Result<MailTransport, MailUrlError> {
        let url = self.url.resolve()?;
        match url.expose().split_once(':') {
            Some(("file", "")) => Err(MailUrlError::NoFolder),
            Some(("file", folder)) => Ok(MailTransport::Folder(self.base.join(folder))),
            Some(("smtp" | "smtps", _)) => SmtpUrl::parse(url).map(MailTransport::Smtp),
            _ => Err(MailUrlError::Unknown),
        }
    }
}

/// How mail is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailTransport {
    /// Not at all: it is written into this folder.
    Folder(PathBuf),
    /// To a mail server.
    Smtp(SmtpUrl),
}

/// The URL of a mail server, which may have a password in it.
#[derive(Clone, Debug)]
pub struct SmtpUrl {
    url: Secret<String>,
    has_password: bool,
    is_bare: bool,
}

impl SmtpUrl {
    fn parse(text: Secret<String>) -> Result<Self, MailUrlError> {
        let url = Url::parse(text.expose()).map_err(|_| MailUrlError::Malformed)?;
        if url.host_str().is_none_or(str::is_empty) || url.fragment().is_some() {
            return Err(MailUrlError::Malformed);
        }
        if url.username().is_empty() != url.password().is_none_or(str::is_empty) {
            return Err(MailUrlError::Credentials);
        }
        let (mut tls, mut parameters) = (None, url.query_pairs());
        if let Some((name, value)) = parameters.next() {
            match &*name {
                "tls" if url.scheme() == "smtp" => tls = Some(value),
                _ => return Err(MailUrlError::Parameter),
            }
        }
        if parameters.next().is_some() {
            return Err(MailUrlError::Parameter);
        }
        let is_encrypted = match tls.as_deref() {
            Some("required") => true,
            Some("opportunistic") => false,
            None => url.scheme() == "smtps",
            Some(_) => return Err(MailUrlError::Parameter),
        };
        Ok(Self {
            url: text,
            has_password: !url.username().is_empty(),
            is_bare: !is_encrypted && !is_loopback(&url),
        })
    }

    /// The URL.
    pub fn expose(&self) -> &str {
        self.url.expose()
    }

    /// Whether a password may cross a network in the clear.
    pub fn bares_password(&self) -> bool {
        self.has_password && self.is_bare
    }

    /// Whether mails, and the links in them, may cross a network in the clear.
    pub fn bares_mails(&self) -> bool {
        self.is_bare
    }
}

impl PartialEq for SmtpUrl {
    fn eq(&self, other: &Self) -> bool {
        self.url.matches(other.url.expose().as_bytes())
    }
}

impl Eq for SmtpUrl {}

/// Hosts of schemes that are not the web's are kept as they were written.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            name.eq_ignore_ascii_case("localhost")
                || name
                    .parse::<std::net::Ipv4Addr>()
                    .is_ok_and(|address| address.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Why `mail.url` names no way to send mail. Never says anything of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum MailUrlError {
    /// It cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// `file:` and nothing.
    #[error("`file:` is followed by the folder for mails")]
    NoFolder,
    /// Not the URL of a server.
    #[error("not a mail server's URL such as `smtp://user:password@host:587?tls=required`")]
    Malformed,
    /// One without the other.
    #[error("a user and a password come together")]
    Credentials,
    /// Something else behind the `?`.
    #[error("what follows the `?` is `tls=required` or `tls=opportunistic`, and for `smtp:` only")]
    Parameter,
    /// Something else.
    #[error("not a way to send mail: it begins with neither `smtp:`, `smtps:` nor `file:`")]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<MailTransport, MailUrlError> {
        let url = SecretSource::Text(Secret::new(url.to_owned()));
        MailConfig {
            url,
            ..MailConfig::default()
        }
        .transport()
    }

    #[test]
    fn a_mail_servers_url_says_how_it_is_spoken_to() {
        for (url, bares_password, bares_mails) in [
            ("smtp://mail.example.com", false, true),
            ("smtp://mail.example.com?tls=opportunistic", false, true),
            ("smtp://mail.example.com?tls=required", false, false),
            ("smtp://127.0.0.1:2525", false, false),
            ("smtps://u:p@mail.example.com", false, false),
            ("smtp://u:p%40x@mail.example.com:587?tls=required", false, false),
            ("smtp://u:p@mail.example.com?tls=opportunistic", true, true),
            ("smtp://u:p@mail.example.com", true, true),
            ("smtp://u:p@localhost:2525", false, false),
            ("smtp://u:p@127.0.0.1:2525", false, false),
            ("smtp://u:p@[::1]:2525", false, false),
        ] {
            let Ok(MailTransport::Smtp(smtp)) = parse(url) else {
                panic!("{url}");
            };
            assert_eq!(smtp.bares_password(), bares_password, "{url}");
            assert_eq!(smtp.bares_mails(), bares_mails, "{url}");
            assert_eq!(smtp.expose(), url);
            assert!(!format!("{smtp:?}").contains("u:p"), "{smtp:?}");
        }
    }

    #[test]
    fn what_is_not_one_is_refused_without_a_word_of_what_is_in_it() {
        for url in [
            "smtp://",
            "smtp:host",
            "smtp://hunter2@host",
            "smtp://:hunter2@host",
            "smtp://u:hunter2@host?tls=none",
            "smtp://u:hunter2@host?tls=required&tls=required",
            "smtps://u:hunter2@host?tls=required",
            "smtp://host:hunter2",
            "http://u:hunter2@host",
            "hunter2",
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{url}: {error}");
        }
    }
}
