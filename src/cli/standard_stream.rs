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

/// The most of standard input that is copied to a file, in bytes: it may have no end.
const LARGEST_COPY: u64 = 1 << 30;

/// Opens an input that is read more than once: standard input is copied to an unnamed file.
pub(super) fn open_seekable_input(path: &Path) -> io::Result<File> {
    if is_named_by(path) {
        copy(io::stdin(), LARGEST_COPY)
    } else {
        File::open(path)
    }
}

fn copy(input: impl Read, largest: u64) -> io::Result<File> {
    let mut copy = tempfile::tempfile()?;
    if io::copy(&mut input.take(largest + 1), &mut copy)? > largest {
        let error = format!("it is larger than {} MiB: write it into a file", largest >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    copy.rewind()?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_without_an_end_does_not_fill_the_disk() {
        let error = copy(io::repeat(0), 1 << 20).unwrap_err().to_string();
        assert_eq!(error, "it is larger than 1 MiB: write it into a file");
        let mut text = String::new();
        copy(&b"ann:x"[..], 5).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "ann:x");
    }
}
