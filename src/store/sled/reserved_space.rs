//! A file that only takes up room, so that there is some when the disk is full.
//!
//! The engine cannot even open its files on a full disk: it must write to do so. Then the ballast is thrown out.
//! Without ballast there are no writes, reads only; it is laid again as soon as there is room to spare.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

/// What the engine takes to open, many times over.
const SIZE: u64 = 8 << 20;

#[derive(Debug)]
pub(super) struct ReservedSpace {
    folder: PathBuf,
    laid: bool,
}

impl ReservedSpace {
    /// The ballast of a folder, as it is found there.
    pub(super) fn find(folder: &Path) -> Self {
        let laid = fs::metadata(Self::path(folder)).is_ok_and(|found| found.len() == SIZE);
        Self {
            folder: folder.to_owned(),
            laid,
        }
    }

    /// Lays it if it is not laid and there is room for it and as much again. Whether it is laid now.
    pub(super) fn lay(&mut self) -> io::Result<bool> {
        if !self.laid && self.free_space()? >= 2 * SIZE {
            self.laid = match self.write() {
                Ok(()) => true,
                // There is less room for this process than the disk has: a quota.
                Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                    fs::remove_file(Self::path(&self.folder))?;
                    false
                }
                Err(error) => return Err(error),
            };
        }
        Ok(self.laid)
    }

    /// Throws it out if the disk is full. Whether that made room.
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
        folder.join("ballast")
    }

    /// Bytes that this process may still write.
    fn free_space(&self) -> io::Result<u64> {
        let disk = statvfs(&self.folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

/// Takes up the room at once where the file system can, byte by byte where it cannot.
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
    fn half_a_ballast_is_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(ReservedSpace::path(folder.path()), [0; 100]).unwrap();
        let mut reserved_space = ReservedSpace::find(folder.path());
        assert!(!reserved_space.laid);
        assert!(reserved_space.lay().unwrap());
        assert!(ReservedSpace::find(folder.path()).laid);
    }
}
