//! The transport of mails: to a mail server over SMTP, or into a folder.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use lettre::address::AddressError;
use lettre::message::Mailbox;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, Error as SmtpError};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use tokio::task::spawn_blocking;

use super::MailError;
use super::content::MailContent;
use super::file_transport::FileTransport;
use crate::config::{Config, MailConfig, MailSender, MailTransport, SmtpTls, SmtpUrl};
use crate::ids::MailId;
use crate::trust_anchors::read_trust_anchors;

/// How long connecting to a mail server may take.
const CONNECT_TIME: Duration = Duration::from_secs(30);

/// Characters that are kept of a mail server's response.
const LONGEST_REASON: usize = 300;

/// The configured transport, and the sender of every mail.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) from: Mailbox,
    kind: MailTransport,
    ca: Option<PathBuf>,
    hello: ClientId,
}

/// A transport that is ready to send.
pub(super) enum MailConnection {
    /// Writes into a folder.
    Folder(FileTransport),
    /// Sends to a mail server. Needs the runtime, even when dropped, so only the worker and probes make one.
    Server(AsyncSmtpTransport<Tokio1Executor>),
}

/// Why a mail was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SendError {
    /// No mail can be sent now.
    TransportDown(String),
    /// This mail cannot be sent now.
    Transient(String),
    /// This mail can never be sent.
    Permanent(String),
}

impl Transport {
    pub(super) fn new(config: &Config) -> Result<Self, MailError> {
        let from = from(&config.mail)?;
        let transport = config.mail.transport()?;
        let (ca, hello) = (config.mail.ca.clone(), hello(config));
        if let MailTransport::Smtp(url) = &transport {
            server(url, ca.as_deref(), &hello)?;
        }
        Ok(Self {
            from,
            kind: transport,
            ca,
            hello,
        })
    }

    pub(super) fn has_server(&self) -> bool {
        matches!(self.kind, MailTransport::Smtp(_))
    }

    /// Makes the transport ready. Does not connect yet.
    pub(super) fn open(&self) -> Result<MailConnection, MailError> {
        Ok(match &self.kind {
            MailTransport::Folder(folder) => MailConnection::Folder(FileTransport::new(folder.clone())),
            MailTransport::Smtp(url) => {
                let server = server(url, self.ca.as_deref(), &self.hello)?;
                MailConnection::Server(server.timeout(Some(CONNECT_TIME)).build())
            }
        })
    }
}

/// The sender, as in the header `From`.
pub(super) fn from(config: &MailConfig) -> Result<Mailbox, MailError> {
    let MailSender { name, address } = config
        .sender()
        .map_err(|error| MailError::From(error.to_string()))?;
    let address: Address = address
        .deliverable()
        .parse()
        .map_err(|error: AddressError| MailError::From(error.to_string()))?;
    Ok(Mailbox::new(name, address))
}

/// Sets up the client for the mail server of `url`. Its certificate must come from an authority in the file
/// `authority`, or from one that the system trusts if there is none.
pub(super) fn server(
    url: &SmtpUrl,
    authority: Option<&Path>,
    hello: &ClientId,
) -> Result<AsyncSmtpTransportBuilder, MailError> {
    let unusable = |error: SmtpError| MailError::Server(error.to_string());
    let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose()).map_err(unusable)?;
    let server = server.hello_name(hello.clone());
    let Some(path) = authority else {
        return Ok(server);
    };
    let anchors = read_trust_anchors(path).map_err(|error| MailError::Authority {
        path: path.to_owned(),
        error,
    })?;
    let mut tls = TlsParameters::builder(url.host().to_owned()).certificate_store(CertificateStore::None);
    for anchor in anchors {
        tls = tls.add_root_certificate(Certificate::from_der(anchor.to_vec()).map_err(unusable)?);
    }
    let tls = tls.build().map_err(unusable)?;
    Ok(server.tls(match url.tls() {
        SmtpTls::Never => Tls::None,
        SmtpTls::Opportunistic => Tls::Opportunistic(tls),
        SmtpTls::Required => Tls::Required(tls),
        SmtpTls::Wrapped => Tls::Wrapper(tls),
    }))
}

/// The name in `EHLO`.
pub(super) fn hello(config: &Config) -> ClientId {
    let name = config.mail.greeting(&config.public_url);
    match name.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::Domain(name.to_owned()),
    }
}

impl MailConnection {
    pub(super) async fn send(
        &self,
        content: &MailContent,
        message: Message,
        id: MailId,
        now: Timestamp,
    ) -> Result<(), SendError> {
        match self {
            Self::Folder(outbox) => {
                let (outbox, mail) = (outbox.clone(), message.formatted());
                let written = spawn_blocking(move || outbox.write(&mail, id, now)).await;
                written
                    .map_err(|error| SendError::TransportDown(error.to_string()))?
                    .map_err(|error| SendError::TransportDown(error.to_string()))?;
                FileTransport::show(content);
                Ok(())
            }
            Self::Server(server) => {
                let is_plain = content.to.deliverable().is_ascii();
                let sent = server.send(message).await;
                sent.map(drop).map_err(|error| not_sent(&error, is_plain))
            }
        }
    }
}

/// Classifies an error. `is_plain`: the receiver's address is ASCII.
fn not_sent(error: &SmtpError, is_plain: bool) -> SendError {
    let reason = reason(&error.to_string());
    let Some(code) = error.status().map(u16::from) else {
        // The client library itself fails on an address that the server cannot take (SMTPUTF8), or on a
        // server that lacks what `mail.url` requires.
        return if error.is_client() && !is_plain {
            SendError::Permanent(reason)
        } else {
            SendError::TransportDown(reason)
        };
    };
    verdict(code, reason)
}

/// Classifies a response code (RFC 5321, section 4.2.1; RFC 4954, section 6): codes about the server or the
/// sign-in stop all mails.
fn verdict(code: u16, reason: String) -> SendError {
    match code {
        421 | 432 | 454 | 530..=539 => SendError::TransportDown(reason),
        500..=599 => SendError::Permanent(reason),
        _ => SendError::Transient(reason),
    }
}

/// Shortens a text to one line of limited length.
pub(super) fn reason(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(LONGEST_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_the_server_stops_all_and_what_concerns_a_mail_stops_it() {
        let verdict = |code| verdict(code, String::new());
        for code in [421, 454, 530, 534, 535, 538] {
            assert_eq!(verdict(code), SendError::TransportDown(String::new()), "{code}");
        }
        for code in [450, 451, 452, 455] {
            assert_eq!(verdict(code), SendError::Transient(String::new()), "{code}");
        }
        for code in [500, 550, 552, 554] {
            assert_eq!(verdict(code), SendError::Permanent(String::new()), "{code}");
        }
    }

    #[test]
    fn a_reason_is_one_line() {
        assert_eq!(reason("a\r\nb"), "a  b");
        assert_eq!(reason(&"x".repeat(1000)).len(), LONGEST_REASON);
    }
}
