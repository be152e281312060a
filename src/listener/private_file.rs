//! Files that nobody but their owner may read, and writing them whole or not at all.

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
        /// What failed.
        error: io::Error,
    },
    /// A private key that others may read (S54).
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

/// What `act` fails with, about a file.
pub(super) fn about<T>(path: &Path, result: io::Result<T>) -> Result<T, FileError> {
    result.map_err(|error| FileError::Io {
        path: path.to_owned(),
        error,
    })
}

/// Reads a private key's file, which must be its owner's alone, as far as an orchestrator allows.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // The permissions are those of the very file that is read, not of whatever has its name a moment later.
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

/// Writes a file of this mode: after a crash it is the old one or the new one, never a part.
pub(super) fn write_atomically(path: &Path, mode: u32, content: &[u8]) -> Result<(), FileError> {
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
    // What a crash left behind may have other permissions.
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
