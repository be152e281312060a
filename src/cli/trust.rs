//! `vestibule trust`

use std::path::Path;
use std::process::ExitCode;

/// Puts the local authority in `certs_dir` into the system's trust store, or takes it out.
pub fn run(_certs_dir: &Path, _remove: bool, _json: bool) -> ExitCode {
    ExitCode::FAILURE
}
