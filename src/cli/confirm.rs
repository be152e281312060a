//! Consent to an act that cannot be undone.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;

use super::output::Failure;

/// Consent given on the command line, or asked for on a terminal.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Confirmation {
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
}

impl Confirmation {
    /// Whether the command has to ask. A usage error where it would have to and there is no terminal: a script that
    /// deletes says so.
    pub(super) fn must_ask(self, act: &str) -> Result<bool, Failure> {
        if self.yes {
            return Ok(false);
        }
        if is_interactive() {
            return Ok(true);
        }
        Err(Failure::usage(format!(
            "{act} cannot be undone, and there is no terminal to ask on: add --yes"
        )))
    }

    /// Asks on a terminal; elsewhere the command itself is the consent, as for what ends access and must not wait.
    pub(super) fn ask_on_terminal(self, question: &str) -> Result<(), Failure> {
        if self.yes || !is_interactive() {
            return Ok(());
        }
        ask(question)
    }
}

/// Asks on the terminal. Anything but a yes is a refusal.
pub(super) fn ask(question: &str) -> Result<(), Failure> {
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::failed("not confirmed: nothing was changed")),
    }
}

/// Whether a question is shown on a terminal and the reply is read from one.
fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
