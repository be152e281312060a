//! The check by which a server is found to be up.

use std::time::Duration;

use http::{StatusCode, Uri};

use crate::config::{HealthConfig, UpstreamConfig};

/// What is asked of a server in a check, and what a sound one responds.
#[derive(Debug)]
pub(super) struct HealthCheck {
    config: HealthConfig,
    /// `None`: the server must accept a connection.
    target: Option<Uri>,
    timeout: Duration,
}

impl HealthCheck {
    /// A check as an upstream's settings say. Without a time-out of its own it may take as long as connecting.
    pub(super) fn new(settings: Option<&UpstreamConfig>, connect: Duration) -> Self {
        let config = settings
            .map(|settings| settings.health.clone())
            .unwrap_or_default();
        Self {
            target: config.path.as_ref().and_then(|path| path.parse().ok()),
            timeout: config.timeout.map_or(connect, |timeout| timeout.0),
            config,
        }
    }

    pub(super) fn config(&self) -> &HealthConfig {
        &self.config
    }

    /// Returns what is asked for.
    pub(super) fn target(&self) -> Option<&Uri> {
        self.target.as_ref()
    }

    /// Returns how long it may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns the time between two checks.
    pub(super) fn interval(&self) -> Duration {
        self.config.interval.0
    }

    /// Whether a response with this status is that of a sound server.
    pub(super) fn accepts(&self, status: StatusCode) -> bool {
        if self.config.status.is_empty() {
            status.is_success() || status.is_redirection()
        } else {
            self.config.status.contains(&status.as_u16())
        }
    }
}
