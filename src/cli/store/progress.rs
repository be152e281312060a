//! How far it is, for whoever watches.

use std::io::{self, IsTerminal, Write};

/// Records between two looks.
const STEP: u64 = 5_000;

/// Shown on a terminal alone, and gone at the end.
#[derive(Debug)]
pub(super) struct Progress {
    is_shown: bool,
    next: u64,
}

impl Progress {
    /// Shows nothing to programs.
    pub(super) fn new(json: bool) -> Self {
        Self {
            is_shown: !json && io::stderr().is_terminal(),
            next: STEP,
        }
    }

    /// So many records so far.
    pub(super) fn at(&mut self, records: u64) {
        if self.is_shown && records >= self.next {
            self.next = records + STEP;
            let _ = write!(io::stderr(), "\r{records} records");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown && self.next > STEP {
            // To the beginning of the line, and rid of what is on it.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
