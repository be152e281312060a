//! Log messages on standard error: text on a terminal, else JSON lines.

use std::env;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tracing_subscriber::EnvFilter;

use super::gateway_lines::GatewayLines;
use super::output::Failure;
use crate::clock::Clock;
use crate::log_writer::LogWriter;
use crate::metrics::Counter;

/// The environment variable that overrides `log.level`.
const VARIABLE: &str = "VESTIBULE_LOG";

/// Starts logging at a level, or with a filter such as `info,vestibule::proxy=debug`. Returns the counter of
/// messages that could not be written.
pub(super) fn start(level: &str) -> Result<Arc<Counter>, Failure> {
    let (said_by, level) = match env::var(VARIABLE) {
        Ok(level) => (VARIABLE, level),
        Err(_) => ("log.level", level.to_owned()),
    };
    let filter = EnvFilter::try_new(&level).map_err(|error| {
        Failure::failed(format!("{said_by} is {level:?}, which is not a filter: {error}"))
    })?;
    let lost = Arc::<Counter>::default();
    let (counted, torn) = (lost.clone(), Arc::<AtomicBool>::default());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // It would report errors on standard error, and panic where that cannot be written.
        .log_internal_errors(false)
        .with_writer(move || LogWriter::new(io::stderr(), counted.clone(), torn.clone()));
    if io::stderr().is_terminal() {
        subscriber.with_target(false).init();
    } else {
        subscriber.event_format(GatewayLines(Clock::system())).init();
    }
    Ok(lost)
}
