//! `vestibule schema`: prints the documentation of the configuration.

use std::process::ExitCode;

use super::output::{exit_after, print_line};
use crate::config;

/// Prints the JSON Schema, or, with `reference`, every key with its documentation and default as TOML.
pub fn run(reference: bool) -> ExitCode {
    let text = if reference {
        config::reference()
    } else {
        config::schema()
    };
    exit_after(print_line(text.trim_end_matches('\n')), ExitCode::SUCCESS)
}
