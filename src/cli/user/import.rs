//! `vestibule user import`

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::pin::pin;

use clap::Args;
use futures_util::{TryStreamExt as _, stream};
use serde_json::json;

use crate::api::{AccountView, ImportReport, RefusedLine};
use crate::cli::admin_client::{AdminClient, ReasonArg};
use crate::cli::output::{CommandOutput, Failure, mention};
use crate::cli::progress::Progress;
use crate::cli::standard_stream;
use crate::cli::table::printable;
use crate::control::{Command, CommandError, HtpasswdLines};
use crate::services::HtpasswdLine;

/// Lines that are added in one step: so many that the store is written seldom, and so few that people who sign in
/// meanwhile do not notice.
const TOGETHER: usize = 500;

/// Parts that are under way at one time: one is read and answered while another is written.
const IN_FLIGHT: usize = 2;

/// Bytes of the longest line: an address, a hash, and room.
const LONGEST: u64 = 4096;

/// Refused lines that people are told one by one.
const TOLD: usize = 20;

#[derive(Debug, Args)]
pub(in crate::cli) struct UserImport {
    /// The file, with a line `name:hash` for each account; "-": standard input.
    #[arg(long, value_name = "FILE")]
    htpasswd: PathBuf,
    /// Print every account that is added, and every line that is refused.
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    reason: ReasonArg,
}

impl UserImport {
    /// Reads the whole file first: where a line is none, nothing is added. What it takes in memory does not grow with the
    /// file, unless all of it is to be printed.
    pub(super) async fn run(self, client: &AdminClient, json: bool) -> Result<CommandOutput, Failure> {
        let path = &self.htpasswd;
        let unreadable = |error| Failure::failed(format!("{} cannot be read: {error}", path.display()));
        let mut file = standard_stream::open_seekable_input(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let mut outcome = ImportTally::new(&self, json);
        if !self.verbose {
            client.keep_audit_log_off_the_terminal();
        }
        let none = self.check(&file, client, &mut outcome)?;
        if outcome.refused_count > 0 {
            // The gateway refuses them too, and has it on record.
            client.note(Command::ImportLines(none), &self.reason).await;
            let message = format!(
                "{} of {} lines of {} are none of an htpasswd file with bcrypt hashes; nothing was imported",
                outcome.refused_count,
                outcome.count(),
                path.display()
            );
            return Err(outcome.failure(message));
        }
        file.rewind().map_err(|error| {
            Failure::failed(format!(
                "{} cannot be read twice: {error}; write it into a file",
                path.display()
            ))
        })?;
        let mut outcome = ImportTally::new(&self, json);
        let progress = Progress::new(json || self.verbose);
        let batches = stream::try_unfold(LineReader::of(&file), async |mut lines| {
            let batch = lines.batch().map_err(|wrong| wrong.failure(path))?;
            let read = lines.read;
            Ok((!batch.text.is_empty()).then_some(((batch, read), lines)))
        });
        let reports = batches
            .map_ok(async |(batch, read)| {
                let command = Command::ImportLines(batch);
                let report: ImportReport = client.send_with_reason(command, self.reason.clone()).await?;
                Ok((report, read))
            })
            .try_buffered(IN_FLIGHT);
        let mut reports = pin!(reports);
        loop {
            let next = reports.try_next().await.map_err(|failure: Failure| {
                failure.after(&format!("{} accounts were added before", outcome.added_count))
            })?;
            let Some((report, read)) = next else { break };
            outcome.add(report);
            progress.at_part(outcome.added_count, read, size);
        }
        drop(progress);
        outcome.into_output(path)
    }

    /// Refuses what no gateway would take, whatever accounts there are. The first lines of that kind.
    fn check(
        &self,
        file: &File,
        client: &AdminClient,
        outcome: &mut ImportTally,
    ) -> Result<HtpasswdLines, Failure> {
        let host = client.config().public_url.host_str().unwrap_or_default();
        let mut lines = LineReader::of(file);
        let mut none = HtpasswdLines {
            first: 1,
            text: String::new(),
        };
        loop {
            match lines.next() {
                Ok(Some(text)) => match HtpasswdLine::read(&text).map(|line| (line, line.account(host))) {
                    Some((line, Err(error))) => {
                        outcome.refuse(RefusedLine {
                            line: lines.number,
                            name: line.name().to_owned(),
                            reason: CommandError::from(error).message,
                        });
                        if outcome.refused_count <= TOLD as u64 {
                            none.text.push_str(text.trim_end());
                            none.text.push('\n');
                        }
                    }
                    Some((_, Ok(_))) => outcome.passed_count += 1,
                    None => {}
                },
                Ok(None) => return Ok(none),
                Err(wrong) => return Err(wrong.failure(&self.htpasswd)),
            }
        }
    }
}

/// The lines of a file, one at a time.
struct LineReader<'f> {
    file: BufReader<&'f File>,
    /// The number of the last one.
    number: usize,
    /// Bytes that were read.
    read: u64,
}

/// Why a line cannot be read.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("line {0} is longer than {LONGEST} bytes: this is no htpasswd file")]
    TooLong(usize),
    #[error("line {0} is not UTF-8")]
    NotText(usize),
}

impl LineError {
    fn failure(&self, path: &Path) -> Failure {
        Failure::failed(format!("{} cannot be read: {self}", path.display()))
    }
}

impl<'f> LineReader<'f> {
    fn of(file: &'f File) -> Self {
        Self {
            file: BufReader::with_capacity(1 << 16, file),
            number: 0,
            read: 0,
        }
    }

    /// The next line, with its line break.
    fn next(&mut self) -> Result<Option<String>, LineError> {
        let mut line = Vec::new();
        let count = (&mut self.file).take(LONGEST + 1).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.read += line.len() as u64;
        if line.len() as u64 > LONGEST {
            return Err(LineError::TooLong(self.number));
        }
        let line = String::from_utf8(line).map_err(|_| LineError::NotText(self.number))?;
        Ok(Some(line))
    }

    /// The next lines; without text at the end.
    fn batch(&mut self) -> Result<HtpasswdLines, LineError> {
        let first = self.number + 1;
        let mut text = String::new();
        for _ in 0..TOGETHER {
            let Some(line) = self.next()? else { break };
            text.push_str(&line);
        }
        Ok(HtpasswdLines { first, text })
    }
}

/// What became of the lines so far.
struct ImportTally {
    verbose: bool,
    keeps_all: bool,
    passed_count: u64,
    added_count: u64,
    added: Vec<AccountView>,
    refused_count: u64,
    refused: Vec<RefusedLine>,
}

impl ImportTally {
    fn new(import: &UserImport, json: bool) -> Self {
        Self {
            verbose: import.verbose && !json,
            keeps_all: json,
            passed_count: 0,
            added_count: 0,
            added: Vec::new(),
            refused_count: 0,
            refused: Vec::new(),
        }
    }

    fn count(&self) -> u64 {
        self.passed_count + self.added_count + self.refused_count
    }

    fn add(&mut self, report: ImportReport) {
        self.added_count += report.added.len() as u64;
        for account in &report.added {
            if self.verbose {
                mention(format_args!(
                    "{} is added, username {}",
                    account.email, account.username
                ));
            }
        }
        if self.keeps_all {
            self.added.extend(report.added);
        }
        for line in report.refused {
            self.refuse(line);
        }
    }

    fn refuse(&mut self, line: RefusedLine) {
        self.refused_count += 1;
        if self.verbose {
            mention(printable(&format!(
                "line {}: {}: {}",
                line.line, line.name, line.reason
            )));
        } else if self.keeps_all || self.refused.len() < TOLD {
            self.refused.push(line);
        }
    }

    fn into_output(self, path: &Path) -> Result<CommandOutput, Failure> {
        if self.refused_count > 0 {
            let message = format!(
                "{} of {} accounts were not imported",
                self.refused_count,
                self.count()
            );
            return Err(self.failure(message));
        }
        let text = match self.added_count {
            0 => format!("There are no accounts in {}.", path.display()),
            1 => format!("Imported 1 account from {}.", path.display()),
            count => format!("Imported {count} accounts from {}.", path.display()),
        };
        let document = ImportReport {
            added: self.added,
            refused: self.refused,
        };
        CommandOutput::new(&document, text)
    }

    fn failure(self, mut message: String) -> Failure {
        if !self.keeps_all && self.refused_count > self.refused.len() as u64 && !self.verbose {
            message = format!("{message}; the first {TOLD}, --verbose tells all:");
        }
        let failure = Failure::failed(message);
        failure
            .with("added", json!(self.added))
            .with("refused", json!(self.refused))
    }
}
