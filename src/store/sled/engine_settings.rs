//! The engine's settings, in a file of their own. The engine opens nothing when it cannot read them, though it needs none
//! of them: where the file is missing it writes the same again.

use std::fs;
use std::path::{Path, PathBuf};

use super::data_dir::at;
use crate::store::StoreError;

const FILE: &str = "conf";

/// What the engine takes for no settings at all.
const EMPTY: usize = 8;

/// The file, if it is not as the engine wrote it: a checksum is at its end.
fn damaged(folder: &Path) -> Option<PathBuf> {
    let file = folder.join(FILE);
    let text = fs::read(&file).ok()?;
    let (settings, checksum) = text.split_last_chunk()?;
    let is_sound = text.len() <= EMPTY || crc32fast::hash(settings) == u32::from_le_bytes(*checksum);
    (!is_sound).then_some(file)
}

/// Why a folder cannot be opened, if it is for these.
pub(super) fn fault(folder: &Path) -> Option<StoreError> {
    let file = damaged(folder)?;
    let file = file.display();
    Some(StoreError::Corrupt(format!(
        "{file} is not what was written, and no account is in it: move {file} away and start again, and the same is \
         written anew"
    )))
}

/// Removes them from a copy if they are damaged.
pub(super) fn drop_damaged(copy: &Path) -> Result<(), StoreError> {
    match damaged(copy) {
        Some(file) => fs::remove_file(&file).map_err(at(&file)),
        None => Ok(()),
    }
}
