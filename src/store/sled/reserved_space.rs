//! A reserved file that is deleted to make room when the disk is full.
//!
//! The engine must write to open its files, so on a full disk it could not open at all: then the file goes.
//! Without it the store is read-only; it is written again as soon as there is room to spare.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

/// Bytes: many times what the engine needs to open.
const SIZE: u64 = 8 << 20;

/// The name of the file.
pub(super) const FILE: &str = "reserved-space";

#[derive(Debug)]
pub(super) struct ReservedSpace {
    folder: PathBuf,
    laid: bool,
}

impl ReservedSpace {
    /// Looks for the reserved file in a directory.
    pub(super) fn find(folder: &Path) -> Self {
        let laid = fs::metadata(Self::path(folder)).is_ok_and(|found| found.len() == SIZE);
        Self {
            folder: folder.to_owned(),
            laid,
        }
    }

    /// Writes the file if it is missing and there is room for twice its size. Returns whether it is there
    /// now.
    pub(super) fn lay(&mut self) -> io::Result<bool> {
        if !self.laid && self.free_space()? >= 2 * SIZE {
            self.laid = match self.write() {
                Ok(()) => true,
                // A quota leaves this process less room than the disk has.
                Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                    fs::remove_file(Self::path(&self.folder))?;
                    false
                }
                Err(error) => return Err(error),
            };
        }
        Ok(self.laid)
    }

    /// Deletes the file if the disk is full. Returns whether that made room.
    pub(super) fn throw_out_if_full(&mut self) -> io::Result<bool> {
        if self.free_space()? >= SIZE {
            return Ok(false);
        }
        self.laid = false;
        match fs::remove_file(Self::path(&self.folder)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn write(&self) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(Self::path(&self.folder))?;
        fill(&file)?;
        file.sync_all()
    }

    fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// The bytes that this process may still write.
    fn free_space(&self) -> io::Result<u64> {
        let disk = statvfs(&self.folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

/// Allocates the file at once, or writes zeros if the file system cannot.
fn fill(mut file: &File) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, SIZE) {
        Err(Errno::OPNOTSUPP) => {
            let chunk = [0; 1 << 12];
            for _ in 0..SIZE / (1 << 12) {
                file.write_all(&chunk)?;
            }
            Ok(())
        }
        outcome => Ok(outcome?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_laid_once_and_kept_while_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut reserved_space = ReservedSpace::find(folder.path());
        assert!(!reserved_space.laid);
        assert!(reserved_space.lay().unwrap());
        assert!(ReservedSpace::find(folder.path()).laid);
        assert!(!reserved_space.throw_out_if_full().unwrap());
        assert!(ReservedSpace::find(folder.path()).laid);
    }

    #[test]
    fn half_a_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(ReservedSpace::path(folder.path()), [0; 100]).unwrap();
        let mut reserved_space = ReservedSpace::find(folder.path());
        assert!(!reserved_space.laid);
        assert!(reserved_space.lay().unwrap());
        assert!(ReservedSpace::find(folder.path()).laid);
    }
}
