//! `[audit]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The record of authentication events.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// The file to which a JSON line for every event is appended; "" for standard output.
    pub file: PathBuf,
    /// What happens to a login that cannot be recorded.
    pub mode: AuditMode,
}

/// What happens to a login that cannot be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuditMode {
    /// It goes on, and the log raises an alarm.
    #[default]
    BestEffort,
    /// It is refused with 503.
    Required,
}
