//! Writes audit events as JSON lines to a file or a standard stream.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::group_sync::GroupSync;
use crate::ids::AccountId;
use crate::log_file::{LogFile, ReopenError, Reopening};
use crate::log_line::{LineHead, LogLevel, LogName, LogTime};
use crate::model::{AuditEvent, AuditKind, AuditOutcome, terminal_json};

/// The file name that stands for standard error. Opened as a file, it would have an offset of its own, and
/// lines and log messages would overwrite each other.
pub(super) const STANDARD_ERROR: &str = "/dev/stderr";

/// The destination of audit lines.
#[derive(Debug)]
pub(super) enum LineSink {
    StandardOutput(Mutex<Stream<io::Stdout>>),
    StandardError(Mutex<Stream<io::Stderr>>),
    File(Mutex<LogFile>, GroupSync),
}

/// A stream in which a partial write cannot be undone.
#[derive(Debug)]
pub(super) struct Stream<W> {
    to: W,
    /// The last write ended within a line: the next one begins with a line break.
    is_torn: bool,
}

/// An event as its line has it.
#[derive(Serialize)]
struct AuditLine<'a> {
    #[serde(flatten)]
    head: LineHead<'a>,
    event: AuditKind,
    outcome: AuditOutcome,
    reason: Option<&'a str>,
    account: Option<AccountId>,
    by: Option<&'a str>,
    why: Option<&'a str>,
    user_agent: Option<&'a str>,
    detail: Option<&'a str>,
}

impl<'a> From<&'a AuditEvent> for AuditLine<'a> {
    fn from(event: &'a AuditEvent) -> Self {
        let some = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        Self {
            head: LineHead {
                time: LogTime(event.time),
                log: LogName::Audit,
                level: match event.outcome {
                    AuditOutcome::Success => LogLevel::Info,
                    AuditOutcome::Failure => LogLevel::Warn,
                },
                request_id: event.request_id.as_deref(),
                client: event.address,
                user: some(&event.who),
            },
            event: event.event,
            outcome: event.outcome,
            reason: event.reason.as_deref(),
            account: event.account,
            by: event.by.as_deref(),
            why: event.why.as_deref(),
            user_agent: some(&event.user_agent),
            detail: event.detail.as_deref(),
        }
    }
}

impl LineSink {
    /// Opens the file or standard stream. Creates a missing file, readable by its owner only, and its folder.
    pub(super) fn open(path: &Path, reopening: Reopening) -> io::Result<Self> {
        if path.as_os_str().is_empty() {
            return Ok(Self::StandardOutput(Mutex::new(Stream::new(io::stdout()))));
        }
        if path == Path::new(STANDARD_ERROR) {
            return Ok(Self::StandardError(Mutex::new(Stream::new(io::stderr()))));
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = LogFile::open(path, reopening)?;
        Ok(Self::File(Mutex::new(file), GroupSync::default()))
    }

    /// Reopens the file if that was requested.
    pub(super) fn reopen(&self) -> Result<(), ReopenError> {
        match self {
            Self::File(file, _) => lock(file).reopen(),
            Self::StandardOutput(_) | Self::StandardError(_) => Ok(()),
        }
    }

    /// Writes a line in one write, so that lines of several writers of a file do not mix. Returns its number
    /// for [`Self::synced`].
    pub(super) fn write(&self, event: &AuditEvent) -> io::Result<u64> {
        let mut line = terminal_json(&serde_json::to_string(&AuditLine::from(event))?)
            .into_owned()
            .into_bytes();
        line.push(b'\n');
        match self {
            Self::StandardOutput(output) => lock(output).write_line(line).map(|()| 0),
            Self::StandardError(output) => lock(output).write_line(line).map(|()| 0),
            Self::File(file, synced) => {
                lock(file).write_all(&line)?;
                Ok(synced.wrote())
            }
        }
    }

    /// Waits until the line of this number is on disk; at once for streams.
    pub(super) async fn synced(&self, number: u64) -> io::Result<()> {
        let Self::File(file, synced) = self else {
            return Ok(());
        };
        let sync = || async {
            let Some(handle) = lock(file).handle()? else {
                return Ok(());
            };
            let synced = tokio::task::spawn_blocking(move || handle.sync_data()).await;
            synced.map_err(io::Error::other)?
        };
        synced.wait(number, sync).await
    }
}

impl<W: Write> Stream<W> {
    fn new(to: W) -> Self {
        Self { to, is_torn: false }
    }

    fn write_line(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        if self.is_torn {
            line.insert(0, b'\n');
        }
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            match self.to.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.is_torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.to.flush()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts this many bytes, then fails as full, then accepts all.
    struct Narrow(usize, Vec<u8>);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.min(bytes.len()) {
                0 => {
                    self.0 = usize::MAX;
                    Err(io::ErrorKind::StorageFull.into())
                }
                count => {
                    self.0 -= count;
                    self.1.extend_from_slice(&bytes[..count]);
                    Ok(count)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_a_stream_took_in_part_swallows_none() {
        for (room, expected) in [(6, "first\nthird\n"), (9, "first\nsec\nthird\n")] {
            let mut stream = Stream::new(Narrow(room, Vec::new()));
            stream.write_line(b"first\n".to_vec()).unwrap();
            stream.write_line(b"second\n".to_vec()).unwrap_err();
            stream.write_line(b"third\n".to_vec()).unwrap();
            assert_eq!(String::from_utf8(stream.to.1).unwrap(), expected);
        }
    }
}
