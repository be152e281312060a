//! How far it is, for whoever watches.

use std::io::{self, IsTerminal, Write};

/// Records between two looks.
const STEP: u64 = 5_000;

/// Characters of a bar.
const BAR: u64 = 30;

/// A line on a terminal, and nowhere else; gone at the end.
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

    /// So many of what is counted, and so much of all that is to be done.
    pub(super) fn at_part(&mut self, count: u64, done: u64, all: u64) {
        if self.is_shown {
            self.next = STEP + 1;
            let _ = write!(io::stderr(), "\r{} {count}", bar(done, all));
        }
    }
}

fn bar(done: u64, all: u64) -> String {
    let part = |whole: u64| (done.min(all) * whole).checked_div(all).unwrap_or(whole);
    let (full, percent) = (part(BAR), part(100));
    let cells = (0..BAR).map(|cell| if cell < full { '#' } else { '.' });
    format!("[{}] {percent:3} %", cells.collect::<String>())
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown && self.next > STEP {
            // To the beginning of the line, and rid of what is on it.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_at_the_end() {
        assert_eq!(bar(0, 9), "[..............................]   0 %");
        assert_eq!(bar(4, 8), "[###############...............]  50 %");
        assert_eq!(bar(9, 9), "[##############################] 100 %");
        assert_eq!(bar(0, 0), "[##############################] 100 %");
    }
}
