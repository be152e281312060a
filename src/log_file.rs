//! Append-only log files with mode 0600, which are reopened after a rotation.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{OFlags, fcntl_setfl};

/// Tells every [`LogFile`] that was opened with it to reopen its file.
#[derive(Clone, Debug, Default)]
pub struct Reopening(Arc<AtomicUsize>);

impl Reopening {
    /// Makes each file reopen before its next write.
    pub fn request(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn requests(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// An append-only file of lines. Each write is one line, written whole or not at all.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    /// Whether the file ends within a line, which the next write ends first.
    is_torn: bool,
    reopening: Reopening,
    /// Reopen requests handled so far.
    seen: usize,
}

/// A log file that cannot be opened again. Its lines go on into the old one.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be opened again: {error}", path = .path.display())]
pub struct ReopenError {
    path: PathBuf,
    error: io::Error,
}

impl ReopenError {
    /// Logs it, where no command waits for the outcome.
    pub fn log(&self) {
        tracing::error!(error = %self.error, path = %self.path.display(), "a log cannot be opened again: its lines go on into the old file");
    }
}

impl LogFile {
    /// Opens the file; creates it with mode 0600 if it does not exist.
    pub fn open(path: &Path, reopening: Reopening) -> io::Result<Self> {
        let file = append_to(path)?;
        Ok(Self {
            path: path.to_owned(),
            is_torn: ends_within_a_line(path, &file),
            file,
            seen: reopening.requests(),
            reopening,
        })
    }

    /// Reopens the file if that was requested. On failure, lines go on into the old file, so none is lost.
    pub fn reopen(&mut self) -> Result<(), ReopenError> {
        let requests = self.reopening.requests();
        if requests == self.seen {
            return Ok(());
        }
        self.seen = requests;
        let file = append_to(&self.path).map_err(|error| ReopenError {
            path: self.path.clone(),
            error,
        })?;
        self.is_torn = ends_within_a_line(&self.path, &file);
        // Callers that wait for a sync wait for the new file, so the old one is synced here.
        let _ = self.file.sync_data();
        self.file = file;
        Ok(())
    }
}

impl LogFile {
    /// Returns another handle, for syncing; `None` for a device or a pipe.
    pub fn handle(&self) -> io::Result<Option<File>> {
        if !self.file.metadata()?.is_file() {
            return Ok(None);
        }
        self.file.try_clone().map(Some)
    }
}

impl Write for LogFile {
    /// Writes the whole line, or undoes a partial write and fails.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.reopen() {
            error.log();
        }
        let ended;
        let bytes = if self.is_torn {
            ended = [b"\n", line].concat();
            &ended
        } else {
            line
        };
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
                Ok(0) => return Err(self.take_back(written, io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.take_back(written, error)),
            }
        }
        self.is_torn = false;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl LogFile {
    /// Undoes a partial write if nothing follows it. Otherwise the next line ends it first.
    fn take_back(&mut self, written: usize, error: io::Error) -> io::Error {
        if written > 0 && self.cut(written).is_err() {
            self.is_torn = true;
        }
        error
    }

    fn cut(&mut self, written: usize) -> io::Result<()> {
        let end = self.file.stream_position()?;
        let begin = u64::try_from(written)
            .ok()
            .and_then(|written| end.checked_sub(written));
        match begin {
            Some(begin) if self.file.metadata()?.len() == end => self.file.set_len(begin),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Whether a line was cut by a crash or a full disk.
fn ends_within_a_line(path: &Path, file: &File) -> bool {
    let last = || {
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut file = File::open(path)?;
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok::<_, io::Error>(Some(last))
    };
    last().is_ok_and(|last| last.is_some_and(|last| last != *b"\n"))
}

fn append_to(path: &Path) -> io::Result<File> {
    // Opening a named pipe without a reader fails instead of blocking.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)?;
    fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_left_when_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
        let reopening = Reopening::default();
        let mut log = LogFile::open(&path, reopening.clone()).unwrap();
        log.write_all(b"1\n").unwrap();
        fs::rename(&path, &moved).unwrap();
        log.write_all(b"2\n").unwrap();
        reopening.request();
        log.write_all(b"3\n").unwrap();
        log.write_all(b"4\n").unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "1\n2\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "3\n4\n");

        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        reopening.request();
        log.write_all(b"5\n").unwrap();
        fs::remove_dir(&path).unwrap();
        log.write_all(b"6\n").unwrap();
        assert!(!path.exists(), "not tried again at every line");
        reopening.request();
        log.write_all(b"7\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "7\n");
    }

    #[test]
    fn what_another_run_left_of_a_line_swallows_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "1\n2").unwrap();
        let mut log = LogFile::open(&path, Reopening::default()).unwrap();
        log.write_all(b"3\n").unwrap();
        log.write_all(b"4\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n3\n4\n");
    }

    #[test]
    fn what_was_written_of_a_line_is_taken_back_or_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LogFile::open(&path, Reopening::default()).unwrap();
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        log.write_all(b"1\n").unwrap();
        log.file.write_all(b"half").unwrap();
        log.take_back(4, full());
        log.write_all(b"2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n");

        log.file.write_all(b"half").unwrap();
        append_to(&path).unwrap().write_all(b"another's\n").unwrap();
        log.take_back(4, full());
        log.write_all(b"3\n").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("another's\n\n3\n"), "{text:?}");
    }
}
