//! The output and the exit status of commands.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::control::CommandError;
use crate::model::{terminal_json, terminal_text};

/// Refused or failed.
const FAILED: u8 = 1;

/// The command line is wrong.
pub(super) const USAGE: u8 = 2;

/// The result of a command: JSON for programs, text for users.
#[derive(Debug)]
pub(super) struct CommandOutput {
    json: Value,
    text: String,
}

impl CommandOutput {
    /// Creates a result. `text` has no trailing line break.
    pub(super) fn new(json: &impl Serialize, text: impl Into<String>) -> Result<Self, Failure> {
        Ok(Self {
            json: serde_json::to_value(json).map_err(|error| Failure::failed(error.to_string()))?,
            text: text.into(),
        })
    }

    pub(super) fn print(&self, json: bool) -> ExitCode {
        let printed = if json {
            print_json(&self.json)
        } else {
            print_text(&self.text)
        };
        exit_after(printed, ExitCode::SUCCESS)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    details: Map<String, Value>,
    status: u8,
}

impl Failure {
    /// Refused or failed. The message says what to do.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            details: Map::new(),
            status: FAILED,
        }
    }

    /// The command line is wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self {
            status: USAGE,
            ..Self::failed(message)
        }
    }

    /// Appends to the message how far the command had come.
    pub(super) fn after(self, done: &str) -> Self {
        Self {
            message: format!("{}; {done}", self.message),
            ..self
        }
    }

    /// Adds a member to the JSON document.
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.details.insert(name.to_owned(), value);
        self
    }

    pub(super) fn print(&self, json: bool) -> ExitCode {
        let mut said = writeln!(io::stderr(), "error: {}", terminal_text(&self.message));
        if json {
            said = said.and_then(|()| print_json(&self.document()));
        } else {
            for line in self.lines() {
                said = said.and_then(|()| writeln!(io::stderr(), "  {}", terminal_text(&line)));
            }
        }
        exit_after(said, ExitCode::from(self.status))
    }

    fn document(&self) -> Value {
        let mut document = self.details.clone();
        document.insert("error".to_owned(), json!(self.message));
        Value::Object(document)
    }

    /// The details as lines of text: lists of sentences and of refused lines.
    fn lines(&self) -> Vec<String> {
        let lists = self.details.values().filter_map(Value::as_array);
        lists
            .flatten()
            .filter_map(|item| match item {
                Value::String(sentence) => Some(sentence.clone()),
                Value::Object(refused) => {
                    let member = |name: &str| refused.get(name).and_then(Value::as_str);
                    Some(format!(
                        "line {}: {}: {}",
                        refused.get("line")?,
                        member("name")?,
                        member("reason")?
                    ))
                }
                _ => None,
            })
            .collect()
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self {
            details: error.details,
            ..Self::failed(error.message)
        }
    }
}

pub(super) fn print_json(document: &Value) -> io::Result<()> {
    print_line(&terminal_json(&format!("{document:#}")))
}

/// Returns the status, or a failure if the output could not be written. A closed pipe is no failure.
pub(super) fn exit_after(printed: io::Result<()>, status: ExitCode) -> ExitCode {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(FAILED),
        _ => status,
    }
}

/// Prints a remark on standard error; ignores errors.
pub(super) fn mention(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{}", terminal_text(&text.to_string()));
}

/// Prints what people read. Names in it are what others chose.
pub(super) fn print_text(text: &str) -> io::Result<()> {
    print_whole(&terminal_text(&format!("{text}\n")))
}

/// Says which rows of a list cannot be read.
pub(super) fn mention_unreadable(rows: &[String]) {
    for which in rows {
        mention(format_args!("cannot be read: {which}"));
    }
}

pub(super) fn print_line(text: &str) -> io::Result<()> {
    print_whole(&format!("{text}\n"))
}

fn print_whole(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import_failure() -> Failure {
        let details = json!({
            "added": [{ "email": "a@example.com" }],
            "refused": [{ "line": 2, "name": "b@example.com", "reason": "taken" }],
        });
        let mut error = CommandError::new("1 of 2 accounts were not imported");
        error.details = details.as_object().unwrap().clone();
        Failure::from(error)
    }

    #[test]
    fn a_failures_document_names_the_error_beside_its_details() {
        let document = import_failure().document();
        assert_eq!(document["error"], "1 of 2 accounts were not imported");
        assert_eq!(document["refused"][0]["reason"], "taken");
    }

    #[test]
    fn people_read_what_was_refused() {
        assert_eq!(import_failure().lines(), ["line 2: b@example.com: taken"]);
    }
}
