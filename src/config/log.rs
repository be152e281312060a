//! The `[log]` section: log level and access log.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

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
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            access: true,
            access_file: PathBuf::new(),
        }
    }
}
