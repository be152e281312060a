//! Progress of long commands, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error, erased at the end.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Shows nothing with `json`.
    pub(super) fn new(json: bool) -> Self {
        Self(if json {
            ProgressBar::hidden()
        } else {
            ProgressBar::no_length().with_style(style("{human_pos} records"))
        })
    }

    /// Shows the number of records so far.
    pub(super) fn at(&self, records: u64) {
        self.0.set_position(records);
    }

    /// Shows `count`, and how much of `all` is `done`.
    pub(super) fn at_part(&self, count: u64, done: u64, all: u64) {
        if self.0.length().is_none() {
            self.0.set_style(style("[{bar:30}] {percent:>3} %  {msg}  {eta}"));
            self.0.set_length(all);
        }
        self.0.set_message(count.to_string());
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown_beside_how_much_is_done() {
        let progress = Progress::new(true);
        progress.at(7);
        assert_eq!((progress.0.position(), progress.0.length()), (7, None));
        progress.at_part(12, 50, 200);
        assert_eq!((progress.0.position(), progress.0.length()), (50, Some(200)));
        assert_eq!(progress.0.message(), "12");
    }
}
