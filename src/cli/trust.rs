//! `vestibule trust`

use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(_certs_dir: &Path, _remove: bool, _json: bool) -> ExitCode {
    ExitCode::FAILURE
}
