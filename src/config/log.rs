//! The `[log]` section: log level and access log.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is written about requests and about the gateway itself.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// What the gateway says of itself on standard error: "error", "warn", "info", "debug", or a filter such as
    /// `info,vestibule::proxy=debug`.
    pub level: String,
    /// Whether a JSON line is written for every request.
    pub access: bool,
    /// The file to which those lines are appended; "" for standard output.
    pub access_file: PathBuf,
    /// What else each of those lines has: `"user_agent"`, `"referer"` (without its query), `"protocol"`, `"tls_version"`.
    pub access_fields: Vec<AccessField>,
}

/// A field that a line of the access log has only if it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessField {
    /// What the client calls itself, in at most 256 characters.
    UserAgent,
    /// The page that led here, without its query.
    Referer,
    /// The version of HTTP.
    Protocol,
    /// The version of TLS; none where a proxy ended it.
    TlsVersion,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            access: true,
            access_file: PathBuf::new(),
            access_fields: Vec::new(),
        }
    }
}
