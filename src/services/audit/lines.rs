//! One JSON line for every event: in a file, or among what the program prints.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::log_file::{LogFile, Reopening};
use crate::model::AuditEvent;

/// The file's name that stands for standard error. Opened as a file it would not share its place with the messages
/// that are written there, and each would overwrite the other.
pub(super) const STANDARD_ERROR: &str = "/dev/stderr";

/// Where lines go.
#[derive(Debug)]
pub(super) enum Lines {
    StandardOutput,
    StandardError,
    File(Mutex<LogFile>),
}

impl Lines {
    /// Opens the file, standard output or standard error. A file and its folder are made if need be; the file is its owner's alone.
    pub(super) fn open(path: &Path, reopening: Reopening) -> io::Result<Self> {
        if path.as_os_str().is_empty() {
            return Ok(Self::StandardOutput);
        }
        if path == Path::new(STANDARD_ERROR) {
            return Ok(Self::StandardError);
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(Self::File(Mutex::new(LogFile::open(path, reopening)?)))
    }

    /// Opens the file again if that was requested.
    pub(super) fn follow(&self) {
        if let Self::File(file) = self {
            file.lock().unwrap_or_else(PoisonError::into_inner).follow();
        }
    }

    /// One write a line, so that lines of several writers to one file never mix.
    pub(super) fn write(&self, event: &AuditEvent) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        match self {
            Self::StandardOutput => {
                let mut output = io::stdout().lock();
                output.write_all(&line)?;
                output.flush()
            }
            Self::StandardError => io::stderr().lock().write_all(&line),
            Self::File(file) => file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write_all(&line),
        }
    }
}
