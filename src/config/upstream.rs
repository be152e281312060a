//! `[upstream.NAME]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::SecretSource;

/// An application behind the gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Where it listens: `http://`, `https://`, `h2c://` or `unix:` and a path. Several are balanced.
    pub servers: Vec<String>,
    /// Headers over those of `[identity]`; placeholders as there, and secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretSource>,
    /// Header names of a well-known application.
    #[serde(default)]
    pub preset: Option<UpstreamPreset>,
    /// PEM file of the authority that signs this application's certificate, instead of the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// A well-known application, and the header names that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamPreset {
    /// Radicale with `http_x_remote_user`: `X-Remote-User`.
    Radicale,
}
