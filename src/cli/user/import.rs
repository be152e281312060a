//! `vestibule user import`: imports accounts from an htpasswd file.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::pin::pin;

use clap::Args;
use futures_util::{TryStreamExt as _, stream};
use serde_json::json;

use crate::api::{AccountView, ImportReport, PlannedAccount, RefusedLine, SkippedLine};
use crate::cli::admin_client::{AdminClient, ReasonArg};
use crate::cli::group::mention_unnamed;
use crate::cli::output::{CommandOutput, Failure, mention};
use crate::cli::progress::Progress;
use crate::cli::standard_stream;
use crate::cli::table::printable;
use crate::control::{Command, CommandError, HtpasswdLines, ImportStep};
use crate::model::Email;
use crate::services::{HtpasswdDefaults, HtpasswdLine, NewAccount};

/// Lines in one request: enough that the store is written rarely, few enough not to delay sign-ins meanwhile.
const MAX_LINES_PER_REQUEST: usize = 1000;

/// Bytes of lines, and of their accounts' groups, after which a request gets no more: as JSON, it stays below what the gateway
/// reads, and its answer below what is read here.
const REQUEST_BYTES: usize = 512 << 10;

/// Concurrent requests: some are read and sent while others are written, the accounts of one together with the audit events
/// of another.
const IN_FLIGHT: usize = 4;

/// The longest line in bytes: an address, a hash, and room.
const LONGEST: u64 = 4096;

/// The most refused lines that are listed.
const TOLD: usize = 20;

#[derive(Debug, Args)]
pub(in crate::cli) struct UserImport {
    /// The file, with a line `name:hash` for each account; "-": standard input.
    #[arg(long, value_name = "FILE")]
    htpasswd: PathBuf,
    /// The domain of the e-mail address of a name that is none, such as "example.com".
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    domain: Option<String>,
    /// A group for every account; may be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Pass over lines whose e-mail address has an account instead of importing nothing because of them.
    #[arg(long)]
    skip_existing: bool,
    /// Say what would be imported, and import nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print every account that is added, and every line that is skipped or refused.
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    reason: ReasonArg,
}

impl UserImport {
    /// Imports the file, after checking all of it: a malformed line refuses it as a whole. Memory use does
    /// not grow with the file, unless everything is printed.
    pub(super) async fn run(self, client: &AdminClient, json: bool) -> Result<CommandOutput, Failure> {
        let path = &self.htpasswd;
        let unreadable = |error| Failure::failed(format!("{} cannot be read: {error}", path.display()));
        let file = standard_stream::open_seekable_input(path).map_err(unreadable)?;
        let defaults = HtpasswdDefaults {
            domain: self.domain.clone(),
            groups: self.groups.iter().cloned().collect(),
        };
        mention_unnamed(client.config(), &defaults.groups);
        if !self.verbose {
            client.keep_audit_log_off_the_terminal();
        }
        let mut outcome = ImportTally::new(&self, json);
        let none = self.check(&file, &defaults, &mut outcome)?;
        if outcome.refused_count > 0 {
            if !self.dry_run {
                // Sent to the gateway, which refuses and audits them too.
                client.note(Command::ImportLines(none), &self.reason).await;
            }
            let message = format!(
                "{} of {} lines of {} cannot be imported; nothing was imported",
                outcome.refused_count,
                outcome.count(),
                path.display()
            );
            return Err(outcome.failure(message));
        }
        let step = if self.dry_run {
            ImportStep::DryRun
        } else {
            ImportStep::Check
        };
        let hidden = Progress::new(true);
        let mut outcome = ImportTally::new(&self, json);
        self.send(client, &file, &defaults, step, &mut outcome, &hidden)
            .await?;
        if outcome.refused_count > 0 {
            let message = format!(
                "{} of {} accounts cannot be imported; nothing was imported",
                outcome.refused_count,
                outcome.count()
            );
            return Err(outcome.failure(message));
        }
        if self.dry_run {
            return outcome.into_output(path);
        }
        let progress = Progress::new(json || self.verbose);
        let mut outcome = ImportTally::new(&self, json);
        let sent = self.send(client, &file, &defaults, ImportStep::Add, &mut outcome, &progress);
        let sent = sent.await;
        drop(progress);
        sent.map_err(|failure| {
            failure.after(&format!("{} accounts were added before", outcome.added_count))
        })?;
        outcome.into_output(path)
    }

    /// Sends the file from its beginning, in parts.
    async fn send(
        &self,
        client: &AdminClient,
        mut file: &File,
        defaults: &HtpasswdDefaults,
        step: ImportStep,
        outcome: &mut ImportTally,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let path = &self.htpasswd;
        let unreadable = |error| Failure::failed(format!("{} cannot be read: {error}", path.display()));
        let size = file.metadata().map_err(unreadable)?.len();
        file.rewind().map_err(|error| {
            Failure::failed(format!(
                "{} cannot be read twice: {error}; write it into a file",
                path.display()
            ))
        })?;
        let lists = outcome.verbose || outcome.keeps_all;
        // The gateway keeps the groups for each account, and answers with them.
        let of_groups = defaults.groups.iter().map(|group| group.len() + 8).sum();
        let batches = stream::try_unfold(LineReader::of(file), async |mut lines| {
            let (first, text) = lines.batch(of_groups).map_err(|wrong| wrong.failure(path))?;
            let read = lines.read;
            Ok((!text.is_empty()).then_some(((self.lines(defaults, step, first, text, lists), read), lines)))
        });
        let reports = batches
            .map_ok(async |(batch, read)| {
                let command = Command::ImportLines(batch);
                let report: ImportReport = client.send_with_reason(command, self.reason.clone()).await?;
                Ok::<_, Failure>((report, read))
            })
            .try_buffered(IN_FLIGHT);
        let mut reports = pin!(reports);
        while let Some((report, read)) = reports.try_next().await? {
            outcome.add(report);
            progress.at_part(outcome.added_count, read, size);
        }
        Ok(())
    }

    fn lines(
        &self,
        defaults: &HtpasswdDefaults,
        step: ImportStep,
        first: usize,
        text: String,
        lists: bool,
    ) -> HtpasswdLines {
        HtpasswdLines {
            first,
            text,
            defaults: defaults.clone(),
            skip_existing: self.skip_existing,
            step,
            // What is only looked at before it is added is told when it is.
            lists: lists && step != ImportStep::Check,
        }
    }

    /// Counts and keeps the lines that no gateway would accept, whatever accounts exist. Returns the first of
    /// them.
    fn check(
        &self,
        file: &File,
        defaults: &HtpasswdDefaults,
        outcome: &mut ImportTally,
    ) -> Result<HtpasswdLines, Failure> {
        let (mut lines, mut names) = (LineReader::of(file), FileNames::default());
        let mut refused = String::new();
        loop {
            let text = match lines.next() {
                Ok(Some(text)) => text,
                Ok(None) => return Ok(self.lines(defaults, ImportStep::Check, 1, refused, false)),
                Err(wrong) => return Err(wrong.failure(&self.htpasswd)),
            };
            let Some(line) = HtpasswdLine::read(&text) else {
                continue;
            };
            let account = line
                .account(defaults)
                .map_err(|error| CommandError::of_import(error).message);
            match account.and_then(|account| names.take(&account, lines.number, self.skip_existing)) {
                Ok(()) => outcome.passed_count += 1,
                Err(reason) => {
                    outcome.refuse(RefusedLine {
                        line: lines.number,
                        name: line.name().to_owned(),
                        reason,
                    });
                    if outcome.refused_count <= TOLD as u64 {
                        refused.push_str(text.trim_end());
                        refused.push('\n');
                    }
                }
            }
        }
    }
}

/// The addresses and usernames that a file has had so far, with their lines.
#[derive(Default)]
struct FileNames {
    addresses: HashMap<String, usize>,
    usernames: HashMap<String, usize>,
}

impl FileNames {
    /// Refuses an account whose address, or whose username, an earlier line has; of an address, where existing accounts are
    /// passed over, the gateway passes over the second line.
    fn take(&mut self, account: &NewAccount, line: usize, skips_existing: bool) -> Result<(), String> {
        if let Some(earlier) = self.addresses.get(account.email.key()) {
            return if skips_existing {
                Ok(())
            } else {
                Err(format!(
                    "line {earlier} has the address {} already",
                    account.email
                ))
            };
        }
        let username = account.effective_username();
        let username = username.as_ref().map(|username| username.as_str().to_owned());
        if let Some((earlier, name)) = username
            .as_ref()
            .and_then(|name| Some((self.usernames.get(name)?, name)))
        {
            return Err(format!("line {earlier} has the username {name} already"));
        }
        self.addresses.insert(account.email.key().to_owned(), line);
        self.usernames.extend(username.map(|username| (username, line)));
        Ok(())
    }
}

/// Refuses what no address can have after its `@`.
fn domain(text: &str) -> Result<String, String> {
    let domain = text.trim_start_matches('@');
    match format!("someone@{domain}").parse::<Email>() {
        Ok(_) => Ok(domain.to_owned()),
        Err(error) => Err(format!("not a domain such as \"example.com\": {error}")),
    }
}

/// Reads a file line by line.
struct LineReader<'f> {
    file: BufReader<&'f File>,
    /// The number of the last line.
    number: usize,
    /// The bytes read so far.
    read: u64,
}

/// Why a line could not be read.
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

    /// Returns the next line, with its line break.
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

    /// The next lines, with the number of the first; without text at the end.
    /// Each line counts `more` bytes beside its own.
    fn batch(&mut self, more: usize) -> Result<(usize, String), LineError> {
        let first = self.number + 1;
        let mut text = String::new();
        for count in 1..=MAX_LINES_PER_REQUEST {
            let Some(line) = self.next()? else { break };
            text.push_str(&line);
            if text.len() + count * more >= REQUEST_BYTES {
                break;
            }
        }
        Ok((first, text))
    }
}

/// The results so far.
struct ImportTally {
    verbose: bool,
    keeps_all: bool,
    passed_count: u64,
    added_count: u64,
    added: Vec<AccountView>,
    planned_count: u64,
    planned: Option<Vec<PlannedAccount>>,
    skipped_count: u64,
    skipped: Vec<SkippedLine>,
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
            planned_count: 0,
            planned: import.dry_run.then(Vec::new),
            skipped_count: 0,
            skipped: Vec::new(),
            refused_count: 0,
            refused: Vec::new(),
        }
    }

    fn count(&self) -> u64 {
        self.passed_count + self.added_count + self.planned_count + self.skipped_count + self.refused_count
    }

    fn add(&mut self, report: ImportReport) {
        if report.planned.is_some() {
            self.planned_count += report.unlisted_count;
        } else {
            self.added_count += report.unlisted_count;
        }
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
        // What is only looked at before it is added is told when it is.
        let is_told = report.planned.is_none() || self.planned.is_some();
        self.plan(report.planned.unwrap_or_default());
        self.skipped_count += report.skipped.len() as u64;
        for line in report.skipped {
            if self.verbose && is_told {
                mention(format_args!("line {}: {} has an account", line.line, line.email));
            }
            if self.keeps_all {
                self.skipped.push(line);
            }
        }
        for line in report.refused {
            self.refuse(line);
        }
    }

    /// Shows the accounts that would be added, where nothing is.
    fn plan(&mut self, planned: Vec<PlannedAccount>) {
        self.planned_count += planned.len() as u64;
        let Some(kept) = &mut self.planned else { return };
        if self.verbose {
            for account in &planned {
                mention(format_args!(
                    "line {}: {}, username {}",
                    account.line, account.email, account.username
                ));
            }
        }
        if self.keeps_all {
            kept.extend(planned);
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
                "{} of {} accounts were not imported: somebody else took their names meanwhile",
                self.refused_count,
                self.count()
            );
            return Err(self.failure(message));
        }
        let (done, count) = match self.planned {
            Some(_) => ("Would import", self.planned_count),
            None => ("Imported", self.added_count),
        };
        let mut text = match (count, self.skipped_count) {
            (0, 0) => format!("There are no accounts in {}.", path.display()),
            (1, _) => format!("{done} 1 account from {}.", path.display()),
            (count, _) => format!("{done} {count} accounts from {}.", path.display()),
        };
        if self.skipped_count > 0 {
            let have = if self.skipped_count == 1 {
                "line is"
            } else {
                "lines are"
            };
            let _ = write!(
                text,
                " {} {have} skipped: there is an account.",
                self.skipped_count
            );
        }
        let document = ImportReport {
            added: self.added,
            planned: self.planned,
            unlisted_count: 0,
            skipped: self.skipped,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_what_may_stand_behind_the_sign() {
        assert_eq!(domain("example.com").as_deref(), Ok("example.com"));
        assert_eq!(domain("@example.com").as_deref(), Ok("example.com"));
        for wrong in ["", "a b", "x@example.com", "https://example.com"] {
            assert!(domain(wrong).is_err(), "{wrong:?}");
        }
    }
}
