//! The `[audit]` section: where audit events go, and how long they are kept.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::HumanDuration;

/// The audit log: authentication events and acts of administrators.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// The file to which a JSON line for every event is appended; "" for standard output.
    pub file: PathBuf,
    /// What happens to a login that cannot be recorded.
    pub mode: AuditMode,
    /// How long the audit log in the store keeps an event.
    pub keep: HumanDuration,
    /// How many events the audit log in the store keeps, some hundred bytes each; then the oldest go.
    pub max_events: usize,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            file: PathBuf::new(),
            mode: AuditMode::default(),
            keep: HumanDuration(Duration::from_hours(24 * 365)),
            max_events: 500_000,
        }
    }
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
