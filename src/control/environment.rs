//! The environment of a running gateway, for an operator whose shell lacks the service's secrets.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use zeroize::Zeroizing;

use super::ClientError;
use crate::secret::Secret;

/// Environment variables of a running gateway.
#[derive(Debug)]
pub struct GatewayEnvironment {
    /// Its process id.
    pub process: i32,
    /// The requested variables that are set.
    pub variables: BTreeMap<String, Secret<String>>,
}

/// Why the environment could not be read.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// The gateway could not be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The system does not tell the peer's process id: it runs in another container.
    #[error("the process of the gateway that runs cannot be told")]
    NoProcess,
    /// The system refuses to read the environment.
    #[error("the environment of the gateway that runs, process {process}, cannot be read: {error}")]
    Unreadable {
        /// Its process id.
        process: i32,
        /// Why.
        error: io::Error,
    },
}

/// Reads these variables of a process from `/proc/PID/environ` (proc(5)), as of its start.
pub(super) fn read_environment(
    process: i32,
    names: &[String],
) -> Result<GatewayEnvironment, EnvironmentError> {
    let text = fs::read(format!("/proc/{process}/environ"));
    let text = text.map_err(|error| EnvironmentError::Unreadable { process, error })?;
    let text = Zeroizing::new(text);
    let entries = text.split(|byte| *byte == 0);
    let entries = entries.filter_map(|entry| str::from_utf8(entry).ok()?.split_once('='));
    let asked_for = entries.filter(|(name, _)| names.iter().any(|asked| asked == name));
    Ok(GatewayEnvironment {
        process,
        variables: asked_for
            .map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
            .collect(),
    })
}
