//! Checks the permissions of files that hold secrets.

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::process::geteuid;

use super::SecretError;

/// Where Docker and Podman mount secrets, readable for everyone in the container.
const SECRETS_MOUNT: &str = "/run/secrets";

/// Permissions that are tolerated, because orchestrators offer no stricter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LooseMode {
    /// Group-readable, owned by root or this process's user: Kubernetes with `fsGroup`.
    Group(u32),
    /// World-readable, below `/run/secrets`: Docker, Podman.
    Everybody(u32),
}

impl fmt::Display for LooseMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(mode) => write!(f, "its group may read it too (mode {mode:04o})"),
            Self::Everybody(mode) => write!(f, "everybody on this machine may read it (mode {mode:04o})"),
        }
    }
}

/// Refuses a file that others than its owner may read or write. Returns permissions that are only tolerated.
pub fn require_private(path: &Path, file: &File) -> Result<Option<LooseMode>, SecretError> {
    let metadata = file.metadata().map_err(|error| unreadable(path, error))?;
    require_private_mode(path, &metadata)
}

/// The same check for a file that is not opened.
pub fn require_private_mode(path: &Path, metadata: &Metadata) -> Result<Option<LooseMode>, SecretError> {
    let mode = metadata.permissions().mode() & 0o7777;
    let owner = metadata.uid();
    let is_trusted = owner == 0 || owner == geteuid().as_raw();
    let is_mounted = path
        .canonicalize()
        .is_ok_and(|path| path.starts_with(SECRETS_MOUNT));
    check_mode(mode, is_trusted, is_mounted).map_err(|mode| SecretError::Exposed {
        path: path.to_owned(),
        mode,
    })
}

fn check_mode(mode: u32, is_owner_trusted: bool, is_mounted: bool) -> Result<Option<LooseMode>, u32> {
    match mode & 0o077 {
        0 => Ok(None),
        0o040 if is_owner_trusted => Ok(Some(LooseMode::Group(mode))),
        0o004 | 0o040 | 0o044 if is_mounted => Ok(Some(LooseMode::Everybody(mode))),
        _ => Err(mode),
    }
}

fn unreadable(path: &Path, error: io::Error) -> SecretError {
    SecretError::Unreadable {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_orchestrators_cannot_help_is_put_up_with() {
        for (mode, is_owner_trusted, is_mounted, expected) in [
            (0o600, true, false, Ok(None)),
            (0o400, false, false, Ok(None)),
            (0o440, true, false, Ok(Some(LooseMode::Group(0o440)))),
            (0o640, true, false, Ok(Some(LooseMode::Group(0o640)))),
            (0o640, false, false, Err(0o640)),
            (0o444, true, true, Ok(Some(LooseMode::Everybody(0o444)))),
            (0o444, false, true, Ok(Some(LooseMode::Everybody(0o444)))),
            (0o444, true, false, Err(0o444)),
            (0o604, true, false, Err(0o604)),
            (0o660, true, true, Err(0o660)),
            (0o620, true, true, Err(0o620)),
            (0o650, true, true, Err(0o650)),
            (0o446, true, true, Err(0o446)),
            (0o777, true, true, Err(0o777)),
        ] {
            let judged = check_mode(mode, is_owner_trusted, is_mounted);
            assert_eq!(judged, expected, "{mode:o} {is_owner_trusted} {is_mounted}");
        }
    }
}
