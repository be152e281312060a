//! The engine's settings file `conf`. The engine refuses to open if it is damaged, though it needs none of
//! the settings, and writes it again if it is missing.

use std::fs;
use std::path::{Path, PathBuf};

use super::data_dir::at;
use crate::regular_file;
use crate::store::StoreError;

const FILE: &str = "conf";

/// The engine takes a file up to this length, in bytes, for no settings.
const EMPTY: usize = 8;

/// Returns the path of the file if the checksum at its end is wrong.
fn damaged(folder: &Path) -> Option<PathBuf> {
    let file = folder.join(FILE);
    let text = regular_file::read(&file).ok()?;
    let (settings, checksum) = text.split_last_chunk()?;
    let is_sound = text.len() <= EMPTY || crc32fast::hash(settings) == u32::from_le_bytes(*checksum);
    (!is_sound).then_some(file)
}

/// Returns the error to report if damaged settings keep a directory from opening.
pub(super) fn fault(folder: &Path) -> Option<StoreError> {
    let file = damaged(folder)?;
    let file = file.display();
    Some(StoreError::Corrupt(format!(
        "{file} is not what was written, and no account is in it: move {file} away and start again, and the same is \
         written anew"
    )))
}

/// Removes damaged settings from a copy.
pub(super) fn drop_damaged(copy: &Path) -> Result<(), StoreError> {
    match damaged(copy) {
        Some(file) => fs::remove_file(&file).map_err(at(&file)),
        None => Ok(()),
    }
}
