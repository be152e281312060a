//! The engine's snapshot files: where in the log each page is, so that a start need not read the whole log.
//! Removes them if they are unreadable and the log has all that they describe.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::data_dir::at;
use super::engine::{await_release, open_files};
use crate::store::StoreError;

/// The prefix of a snapshot's file name; the position of the log follows in hexadecimal.
const PREFIX: &str = "snap.";

/// A trial copy inside the store's directory, removed afterwards.
const TRIAL: &str = "trial";

/// Removes the snapshots of a directory that does not open, if the engine finds all that they describe
/// without them. Returns whether it did.
///
/// Tried on a copy first, because the engine cuts off what follows a damaged place in its log.
pub(super) fn drop_from(folder: &Path) -> Result<bool, StoreError> {
    let found = snapshots(folder).map_err(at(folder))?;
    let Some(newest) = found.last() else {
        return Ok(false);
    };
    let trial = folder.join(TRIAL);
    remove(&trial).map_err(at(&trial))?;
    let is_useless = end_without(folder, &trial).map(|end| end >= end_of(newest));
    remove(&trial).map_err(at(&trial))?;
    if !is_useless.unwrap_or_else(|error| {
        tracing::warn!(%error, "the store cannot be opened without its snapshot either");
        false
    }) {
        return Ok(false);
    }
    for snapshot in &found {
        fs::remove_file(snapshot).map_err(at(snapshot))?;
    }
    let file = newest.display();
    tracing::warn!(%file, "{file} cannot be read and was removed: the store's log has all that it told of");
    Ok(true)
}

/// Returns how far the log goes when a copy is opened without snapshots: the position of the one that the
/// engine writes.
fn end_without(folder: &Path, trial: &Path) -> Result<u64, StoreError> {
    let copy = || {
        DirBuilder::new().mode(0o700).create(trial)?;
        copy_engine(folder, trial)?;
        snapshots(trial)?.iter().try_for_each(fs::remove_file)
    };
    copy().map_err(at(trial))?;
    drop(open_files(trial)?);
    await_release(trial)?;
    newest_end(trial).map_err(at(trial))
}

/// The finished snapshots of a directory, newest last.
pub(super) fn snapshots(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if name(&path)
            .strip_prefix(PREFIX)
            .is_some_and(|end| !end.contains('.'))
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The position of the newest snapshot, from which the engine reads the log; 0 without one.
pub(super) fn newest_end(folder: &Path) -> io::Result<u64> {
    Ok(snapshots(folder)?.last().map_or(0, |snapshot| end_of(snapshot)))
}

/// Copies the engine's files.
pub(super) fn copy_engine(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let path = entry.path();
        let is_engines = ["db", "conf", "blobs"].contains(&name(&path)) || name(&path).starts_with(PREFIX);
        if !is_engines {
            continue;
        }
        let copy = to.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            fs::copy(path, copy)?;
            continue;
        }
        DirBuilder::new().mode(0o700).create(&copy)?;
        for blob in fs::read_dir(path)? {
            let blob = blob?;
            fs::copy(blob.path(), copy.join(blob.file_name()))?;
        }
    }
    Ok(())
}

fn end_of(snapshot: &Path) -> u64 {
    let end = name(snapshot).strip_prefix(PREFIX);
    end.and_then(|end| u64::from_str_radix(end, 16).ok()).unwrap_or(0)
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
