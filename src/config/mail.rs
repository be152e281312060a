//! `[mail]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::SecretSource;
use crate::secret::Secret;

/// How mail is sent.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// `file:` and a folder, or `smtp://`, `smtps://`.
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
