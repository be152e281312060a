//! `vestibule schema`: the documentation of the configuration.

use std::io::Write as _;
use std::process::ExitCode;

use crate::config;

/// Prints the JSON Schema, or, with `reference`, every key with its documentation and default as TOML.
pub fn run(reference: bool) -> ExitCode {
    let text = if reference {
        config::reference()
    } else {
        config::schema()
    };
    // A reader that has seen enough, like `head`, is no reason to panic.
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
