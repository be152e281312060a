//! Files of logs: appended to, for their owner alone, and opened again by their names once they were moved away.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tells every [`LogFile`] that was opened with it to open its file again.
#[derive(Clone, Debug, Default)]
pub struct Reopening(Arc<AtomicUsize>);

impl Reopening {
    /// Before its next write, each file is opened again.
    pub fn request(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn requests(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// A file that lines are appended to.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    reopening: Reopening,
    /// How many requests to open it again were seen.
    seen: usize,
}

impl LogFile {
    /// Opens the file, and makes it with mode 0600 where there is none.
    pub fn open(path: &Path, reopening: Reopening) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: append_to(path)?,
            seen: reopening.requests(),
            reopening,
        })
    }

    /// Opens it again if that was requested. Where that fails, lines go on into the file that is open: lost is none.
    pub fn follow(&mut self) {
        let requests = self.reopening.requests();
        if requests == self.seen {
            return;
        }
        self.seen = requests;
        match append_to(&self.path) {
            Ok(file) => self.file = file,
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "a log cannot be opened again: its lines go on into the old file");
            }
        }
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.follow();
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
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
        log.write_all(b"1").unwrap();
        fs::rename(&path, &moved).unwrap();
        log.write_all(b"2").unwrap();
        reopening.request();
        log.write_all(b"3").unwrap();
        log.write_all(b"4").unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "12");
        assert_eq!(fs::read_to_string(&path).unwrap(), "34");

        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        reopening.request();
        log.write_all(b"5").unwrap();
        fs::remove_dir(&path).unwrap();
        log.write_all(b"6").unwrap();
        assert!(!path.exists(), "not tried again at every line");
        reopening.request();
        log.write_all(b"7").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "7");
    }
}
