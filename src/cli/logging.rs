//! What the program says of itself, on standard error: for people on a terminal, else a line of JSON each.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::answer::Failure;

/// Says more, or less, than the configuration asks for.
const VARIABLE: &str = "VESTIBULE_LOG";

/// Starts at a level, or with a filter such as `info,vestibule::proxy=debug`.
pub(super) fn start(level: &str) -> Result<(), Failure> {
    let (said_by, level) = match env::var(VARIABLE) {
        Ok(level) => (VARIABLE, level),
        Err(_) => ("log.level", level.to_owned()),
    };
    let filter = EnvFilter::try_new(&level).map_err(|error| {
        Failure::failed(format!("{said_by} is {level:?}, which is not a filter: {error}"))
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    if io::stderr().is_terminal() {
        subscriber.with_target(false).init();
    } else {
        subscriber.json().flatten_event(true).init();
    }
    Ok(())
}
