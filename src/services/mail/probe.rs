//! The probe of the mail transport for `doctor`: connects and signs in, and sends a test mail if asked.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::MailError;
use super::file_transport::FileTransport;
use super::transport::{from, hello, reason, server};
use crate::config::{Config, MailTransport, SmtpTls, SmtpUrl};
use crate::ids::MailId;
use crate::model::Email;
use crate::random::Random;

/// The configured transport, to be probed.
#[derive(Debug)]
pub struct MailProbe {
    from: lettre::message::Mailbox,
    transport: MailTransport,
    ca: Option<PathBuf>,
    hello: ClientId,
    limit: Duration,
}

/// Why mail would not leave. The texts never contain the password.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The server cannot be reached, or does not respond like a mail server.
    #[error("{0}")]
    Server(String),
    /// TLS with the server fails.
    #[error("TLS with the server fails: {0}")]
    Tls(String),
    /// The server does not offer STARTTLS, which `mail.url` requires.
    #[error("the server offers no STARTTLS")]
    NoStarttls,
    /// The server takes passwords over TLS only, which `mail.url` does not use.
    #[error("the server offers sign-in over TLS only")]
    SignInOverTls,
    /// The server refuses the user or the password.
    #[error("the server refuses the user and password of mail.url: {0}")]
    Credentials(String),
    /// The folder cannot be written to.
    #[error("{0}")]
    Folder(String),
    /// There was no response in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The message cannot be built.
    #[error("{0}")]
    Message(String),
}

impl MailProbe {
    /// Reads the configuration. No call takes longer than `limit`.
    pub fn new(config: &Config, limit: Duration) -> Result<Self, MailError> {
        Ok(Self {
            from: from(&config.mail)?,
            transport: config.mail.transport()?,
            ca: config.mail.ca.clone(),
            hello: hello(config),
            limit,
        })
    }

    /// The folder, with the file transport.
    pub fn folder(&self) -> Option<&PathBuf> {
        match &self.transport {
            MailTransport::Folder(folder) => Some(folder),
            MailTransport::Smtp(_) => None,
        }
    }

    /// Returns whether mails may cross a network unencrypted.
    pub fn bares_mails(&self) -> bool {
        match &self.transport {
            MailTransport::Folder(_) => false,
            MailTransport::Smtp(url) => url.bares_mails(),
        }
    }

    /// Connects and signs in as sending would. Does nothing with the file transport.
    pub async fn greet(&self) -> Result<(), ProbeError> {
        match &self.transport {
            MailTransport::Folder(_) => Ok(()),
            MailTransport::Smtp(url) => {
                let server = self.server(url)?;
                let greeted = self.in_time(async { Ok(server.test_connection().await) });
                match greeted.await? {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(ProbeError::Server(
                        "the server hangs up after the greeting".to_owned(),
                    )),
                    // An error of the client library: the server does not offer what `mail.url` requires.
                    Err(error) if error.is_client() => Err(match (url.tls(), self.offers_starttls().await) {
                        (SmtpTls::Required, Some(false)) => ProbeError::NoStarttls,
                        (SmtpTls::Never, Some(true)) if url.has_password() => ProbeError::SignInOverTls,
                        _ => classify(&error),
                    }),
                    Err(error) => Err(classify(&error)),
                }
            }
        }
    }

    /// Returns whether the server offers STARTTLS; `None` if `mail.url` does not begin in the clear or the
    /// server is not reached.
    pub async fn offers_starttls(&self) -> Option<bool> {
        let MailTransport::Smtp(url) = &self.transport else {
            return None;
        };
        let url = url::Url::parse(url.expose())
            .ok()
            .filter(|url| url.scheme() == "smtp")?;
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let address = (host, url.port().unwrap_or(25));
        let no_tls: Option<TlsParameters> = None;
        let connecting =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.limit), &self.hello, no_tls, None);
        let mut connection = tokio::time::timeout(self.limit, connecting).await.ok()?.ok()?;
        let offers = connection.can_starttls();
        let _ = tokio::time::timeout(self.limit, connection.quit()).await;
        Some(offers)
    }

    /// Sends a test mail.
    pub async fn send(&self, to: &Email, now: Timestamp, random: &Random) -> Result<(), ProbeError> {
        let unfit = |error: &dyn std::fmt::Display| ProbeError::Message(error.to_string());
        let message = Message::builder()
            .from(self.from.clone())
            .to(to.deliverable().parse().map_err(|error| unfit(&error))?)
            .subject("Test: mail from this gateway arrives")
            .body("`vestibule doctor --mail` sent this mail. Nothing is to be done.\n".to_owned())
            .map_err(|error| unfit(&error))?;
        match &self.transport {
            MailTransport::Folder(folder) => {
                let written = FileTransport::new(folder.clone()).write(
                    &message.formatted(),
                    MailId::new(now, random),
                    now,
                );
                written.map_err(|error| ProbeError::Folder(error.to_string()))
            }
            MailTransport::Smtp(url) => {
                let server = self.server(url)?;
                self.in_time(async {
                    server
                        .send(message)
                        .await
                        .map(drop)
                        .map_err(|error| classify(&error))
                })
                .await
            }
        }
    }

    fn server(&self, url: &SmtpUrl) -> Result<AsyncSmtpTransport<Tokio1Executor>, ProbeError> {
        server(url, self.ca.as_deref(), &self.hello)
            .map(|server| server.timeout(Some(self.limit)).build())
            .map_err(|error| ProbeError::Server(error.to_string()))
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, ProbeError>>) -> Result<T, ProbeError> {
        tokio::time::timeout(self.limit, answer)
            .await
            .map_err(|_| ProbeError::Timeout(self.limit))?
    }
}

/// Tells errors of the sign-in (RFC 4954, section 6) and of TLS from others.
fn classify(error: &SmtpError) -> ProbeError {
    let said = reason(&error.to_string());
    match error.status().map(u16::from) {
        Some(432 | 454 | 530..=538) => ProbeError::Credentials(said),
        _ if is_tls(error) => ProbeError::Tls(said),
        _ => ProbeError::Server(said),
    }
}

/// Returns whether the TLS handshake failed. The client library reports that as a connection error, so its
/// causes are searched for one of rustls.
fn is_tls(error: &SmtpError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(inner) = inner
            && inner.is::<rustls::Error>()
        {
            return true;
        }
        cause = error.source();
    }
    error.is_tls()
}
