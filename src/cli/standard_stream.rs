//! `-` in the place of a file on the command line: standard input where one is read, standard output where one is
//! written.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::Path;

/// Whether an argument names a standard stream and no file.
pub(super) fn is_named_by(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What is read under this name, for messages.
pub(super) fn input_name(path: &Path) -> String {
    if is_named_by(path) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Opens a file, or standard input.
pub(super) fn open_input(path: &Path) -> io::Result<Box<dyn Read>> {
    if is_named_by(path) {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(File::open(path)?))
}

/// The same for whoever reads it more than once: standard input is copied into a file without a name.
pub(super) fn open_seekable_input(path: &Path) -> io::Result<File> {
    if !is_named_by(path) {
        return File::open(path);
    }
    let mut copy = tempfile::tempfile()?;
    io::copy(&mut io::stdin(), &mut copy)?;
    copy.rewind()?;
    Ok(copy)
}
