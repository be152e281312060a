//! `vestibule check`

use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(_config: Option<&Path>, _json: bool) -> ExitCode {
    ExitCode::FAILURE
}
