//! `vestibule schema`

use std::process::ExitCode;

pub(super) fn run(_reference: bool) -> ExitCode {
    ExitCode::FAILURE
}
