//! Reads private keys, which only their owner may read, and writes files atomically.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::{SecretError, require_private};
use crate::regular_file;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Reading or writing failed.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// Others may read this private key (S54).
    #[error(
        "{path}: others than its owner may read this private key (mode {mode:04o}); run: chmod 600 {path}"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// Adds the path to an I/O error.
pub fn about<T>(path: &Path, result: io::Result<T>) -> Result<T, FileError> {
    result.map_err(|error| FileError::Io {
        path: path.to_owned(),
        error,
    })
}

/// Reads a private key file. Refuses one that others may read, with exceptions for orchestrators' mounts.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // Checks the open file, not the path: the path could name another file a moment later.
    let mut file = about(path, regular_file::open(path))?;
    require_private(path, &file).map_err(|error| match error {
        SecretError::Exposed { path, mode } => FileError::Exposed { path, mode },
        error => FileError::Io {
            path: path.to_owned(),
            error: io::Error::other(error),
        },
    })?;
    let mut content = Zeroizing::new(Vec::new());
    about(path, file.read_to_end(&mut content))?;
    Ok(content)
}

/// Writes a file by rename, with this mode: after a crash it has the old content or the new, never a part.
pub fn write_atomically(path: &Path, mode: u32, content: &[u8]) -> Result<(), FileError> {
    let mut newborn = path.as_os_str().to_owned();
    newborn.push(".new");
    let newborn = PathBuf::from(newborn);
    about(&newborn, write_new(&newborn, mode, content))?;
    about(path, fs::rename(&newborn, path))?;
    match path.parent() {
        Some(folder) => about(folder, File::open(folder).and_then(|folder| folder.sync_all())),
        None => Ok(()),
    }
}

fn write_new(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    // A leftover of a crash may have other permissions.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
