//! The `[lockout]` section: limits of failed sign-ins.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::HumanDuration;

/// What happens after too many failures.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LockoutConfig {
    /// Consecutive failures that are allowed; one more locks.
    pub max_failures: u32,
    /// How long a lock lasts.
    pub duration: HumanDuration,
    /// Failures that are allowed to one client address (IPv6: to one /64) within `address_window`.
    pub address_failures: u32,
    /// The window of `address_failures`.
    pub address_window: HumanDuration,
}

impl Default for LockoutConfig {
    fn default() -> Self {
        Self {
            max_failures: 10,
            duration: HumanDuration(Duration::from_mins(20)),
            address_failures: 300,
            address_window: HumanDuration(Duration::from_mins(10)),
        }
    }
}
