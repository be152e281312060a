//! The environment of the gateway that runs, for an operator whose own lacks the secrets that only the service has.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use zeroize::Zeroizing;

use super::ClientError;
use crate::secret::Secret;

/// Variables of the gateway that runs.
#[derive(Debug)]
pub struct GatewayEnvironment {
    /// The gateway's process.
    pub process: i32,
    /// Those that were asked for and that it has.
    pub variables: BTreeMap<String, Secret<String>>,
}

/// Why the gateway's environment cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// The gateway cannot be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The system does not say which process it is: it runs in another container.
    #[error("the process of the gateway that runs cannot be told")]
    NoProcess,
    /// The system does not let it be read.
    #[error("the environment of the gateway that runs, process {process}, cannot be read: {error}")]
    Unreadable {
        /// The process.
        process: i32,
        /// Why.
        error: io::Error,
    },
}

/// Reads these variables of a process (proc(5), environ): what it was started with.
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
