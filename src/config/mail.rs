//! `[mail]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{NotBuilt, SecretError, SecretSource};
use crate::secret::Secret;

/// How mail is sent.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// `file:` and the folder into which mails are written. `smtp://` and `smtps://` are not built yet.
    #[schemars(extend("default" = "file:data/outbox"))]
    pub url: SecretSource,
    /// The sender.
    pub from: String,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            url: SecretSource::Text(Secret::new("file:data/outbox".to_owned())),
            from: "Vestibule <no-reply@localhost>".to_owned(),
        }
    }
}

impl MailConfig {
    /// How `url` says that mail is sent.
    pub fn transport(&self) -> Result<MailTransport, MailUrlError> {
        let url = self.url.resolve()?;
        match url.expose().split_once(':') {
            Some(("file", "")) => Err(MailUrlError::NoFolder),
            Some(("file", folder)) => Ok(MailTransport::Folder(PathBuf::from(folder))),
            Some(("smtp" | "smtps", _)) => Err(MailUrlError::Smtp),
            _ => Err(MailUrlError::Unknown),
        }
    }
}

/// How mail is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailTransport {
    /// Not at all: it is written into this folder.
    Folder(PathBuf),
}

/// Why `mail.url` names no way to send mail.
#[derive(Debug, thiserror::Error)]
pub enum MailUrlError {
    /// It cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// `file:` and nothing.
    #[error("`file:` is followed by the folder for mails")]
    NoFolder,
    /// A mail server.
    #[error("sending mail over SMTP {}", NotBuilt::MESSAGE)]
    Smtp,
    /// Something else.
    #[error("not a way to send mail: it does not begin with `file:`")]
    Unknown,
}
