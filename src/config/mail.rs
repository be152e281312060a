//! The `[mail]` section: mail transport and sender.

use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

use super::{SecretError, SecretSource};
use crate::model::Email;
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
    /// The sender: an address, or a name and an address in angle brackets.
    pub from: String,
    /// PEM file of the authority that signs the mail server's certificate, instead of the system's.
    #[schemars(extend("examples" = ["certs/mail-ca.pem"]))]
    pub ca: Option<PathBuf>,
    /// The name that a mail server is greeted with (EHLO); "" is the host of `public_url`.
    pub hello: String,
    /// The base of a relative path in `url`.
    #[serde(skip)]
    pub base: PathBuf,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            url: SecretSource::Text(Secret::new("file:data/outbox".to_owned())),
            from: "Vestibule <no-reply@localhost>".to_owned(),
            ca: None,
            hello: String::new(),
            base: PathBuf::new(),
        }
    }
}

impl MailConfig {
    /// Returns the name for EHLO: a host or an address (RFC 5321, section 4.1.1.1).
    pub fn greeting<'a>(&'a self, public_url: &'a Url) -> &'a str {
        match self.hello.as_str() {
            "" => public_url.host_str().unwrap_or("localhost"),
            hello => hello,
        }
    }

    /// Parses `url`.
    pub fn transport(&self) -> Result<MailTransport, MailUrlError> {
        let url = self.url.resolve()?;
        match url.expose().split_once(':') {
            Some(("file", "")) => Err(MailUrlError::NoFolder),
            Some(("file", folder)) => Ok(MailTransport::Folder(self.base.join(folder))),
            Some(("smtp" | "smtps", _)) => SmtpUrl::parse(url).map(MailTransport::Smtp),
            _ => Err(MailUrlError::Unknown),
        }
    }

    /// Parses `from`.
    pub fn sender(&self) -> Result<MailSender, MailSenderError> {
        self.from.parse()
    }
}

/// A mailbox (RFC 5322, section 3.4); a plain display name need not be quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailSender {
    /// The display name, unquoted.
    pub name: Option<String>,
    /// The address.
    pub address: Email,
}

/// A text that is not exactly one mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sender such as \"Vestibule <no-reply@example.com>\"")]
pub struct MailSenderError;

impl FromStr for MailSender {
    type Err = MailSenderError;

    fn from_str(text: &str) -> Result<Self, MailSenderError> {
        if text.chars().any(char::is_control) {
            return Err(MailSenderError);
        }
        let text = text.trim();
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (display_name(name.trim())?, address),
            None => (None, text),
        };
        Ok(Self {
            name,
            address: address.parse().map_err(|_| MailSenderError)?,
        })
    }
}

/// Parses a display name, with or without quotation marks (RFC 5322, section 3.2.4).
fn display_name(written: &str) -> Result<Option<String>, MailSenderError> {
    if written.is_empty() {
        return Ok(None);
    }
    let Some(quoted) = written.strip_prefix('"') else {
        // Each of these characters begins something else, usually another address.
        let is_plain = !written.contains(['"', '<', '>', '@', '\\']);
        return is_plain.then(|| Some(written.to_owned())).ok_or(MailSenderError);
    };
    let (mut name, mut rest) = (String::new(), quoted.chars());
    loop {
        match rest.next() {
            Some('"') if rest.as_str().is_empty() => return Ok(Some(name).filter(|name| !name.is_empty())),
            Some('\\') => name.extend(rest.next()),
            Some('"') | None => return Err(MailSenderError),
            Some(character) => name.push(character),
        }
    }
}

/// How mail is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailTransport {
    /// Mails are written to this folder instead.
    Folder(PathBuf),
    /// Over SMTP.
    Smtp(SmtpUrl),
}

/// The URL of a mail server; may contain a password.
#[derive(Clone, Debug)]
pub struct SmtpUrl {
    url: Secret<String>,
    host: String,
    tls: SmtpTls,
    has_password: bool,
    is_bare: bool,
}

/// TLS of an SMTP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Unencrypted.
    Never,
    /// STARTTLS if the server offers it.
    Opportunistic,
    /// STARTTLS required.
    Required,
    /// TLS from the first byte.
    Wrapped,
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
        let tls = match tls.as_deref() {
            Some("required") => SmtpTls::Required,
            Some("opportunistic") => SmtpTls::Opportunistic,
            None if url.scheme() == "smtps" => SmtpTls::Wrapped,
            None => SmtpTls::Never,
            Some(_) => return Err(MailUrlError::Parameter),
        };
        let is_encrypted = matches!(tls, SmtpTls::Required | SmtpTls::Wrapped);
        Ok(Self {
            host: url.host_str().unwrap_or_default().to_owned(),
            tls,
            has_password: !url.username().is_empty(),
            is_bare: !is_encrypted && !is_loopback(&url),
            url: text,
        })
    }

    /// Returns the URL.
    pub fn expose(&self) -> &str {
        self.url.expose()
    }

    /// Returns the server's host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the TLS mode.
    pub fn tls(&self) -> SmtpTls {
        self.tls
    }

    /// Whether it has credentials.
    pub fn has_password(&self) -> bool {
        self.has_password
    }

    /// Whether a password may be sent over a network unencrypted.
    pub fn bares_password(&self) -> bool {
        self.has_password && self.is_bare
    }

    /// Whether mails, with their links, may be sent over a network unencrypted.
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

/// `url` does not normalize hosts of schemes such as `smtp`.
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

/// Why `mail.url` is invalid. Never contains any of it.
#[derive(Debug, thiserror::Error)]
pub enum MailUrlError {
    /// The secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// `file:` without a folder.
    #[error("`file:` is followed by the folder for mails")]
    NoFolder,
    /// Not the URL of a server.
    #[error("not a mail server's URL such as `smtp://user:password@host:587?tls=required`")]
    Malformed,
    /// A user without a password, or the reverse.
    #[error("a user and a password come together")]
    Credentials,
    /// Unsupported query parameters.
    #[error("what follows the `?` is `tls=required` or `tls=opportunistic`, and for `smtp:` only")]
    Parameter,
    /// Another scheme.
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
    fn a_sender_has_one_address_and_a_name_that_need_not_be_quoted() {
        for (from, name) in [
            ("Vestibule <no-reply@localhost>", Some("Vestibule")),
            ("ops@localhost", None),
            ("<ops@localhost>", None),
            ("\"\" <ops@localhost>", None),
            (" Ann  Lee <a@b.c> ", Some("Ann  Lee")),
            ("A, B <x@y>", Some("A, B")),
            ("\"A, B\" <x@y>", Some("A, B")),
            ("\"a \\\"b\\\" <c>\" <x@y>", Some("a \"b\" <c>")),
            ("문지기 (서울) <x@y>", Some("문지기 (서울)")),
            ("St. John: Co; [1] <x@y>", Some("St. John: Co; [1]")),
        ] {
            let sender: MailSender = from.parse().unwrap_or_else(|_| panic!("{from}"));
            assert_eq!(sender.name.as_deref(), name, "{from}");
        }
        for from in [
            "",
            "Vestibule",
            "a <b",
            "a <b@c.com> d",
            "a\r\nBcc: x <b@c.com>",
            "a <b@c.com>, d <e@f.com>",
            "b@c.com, d <e@f.com>",
            "b@c.com, e@f.com",
            "\"a <b@c.com>",
            "\"a\" b <b@c.com>",
            "a\\ <b@c.com>",
            "a <b@c.com",
            "a <>",
        ] {
            assert_eq!(from.parse::<MailSender>(), Err(MailSenderError), "{from}");
        }
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
