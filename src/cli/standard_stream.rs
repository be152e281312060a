//! `-` in place of a file on the command line: standard input for reading, standard output for writing.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::Path;

/// Returns whether an argument names a standard stream.
pub(super) fn is_named_by(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The name of an input in messages.
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

/// Opens an input that is read more than once: standard input is copied to an unnamed file.
pub(super) fn open_seekable_input(path: &Path) -> io::Result<File> {
    if !is_named_by(path) {
        return File::open(path);
    }
    let mut copy = tempfile::tempfile()?;
    io::copy(&mut io::stdin(), &mut copy)?;
    copy.rewind()?;
    Ok(copy)
}
