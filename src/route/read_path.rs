//! A path with its readings, for comparing it with the routes more than once.

use super::BadPath;
use super::readings::{Readings, encode};

/// A path with its readings, each of which is computed and folded once.
#[derive(Debug)]
pub struct ReadPath {
    path: String,
    readings: Readings,
}

impl ReadPath {
    /// Computes the readings of a path; refuses it if they have more than `most_bytes` together.
    pub fn within(path: &str, most_bytes: usize) -> Result<Self, BadPath> {
        Ok(Self {
            readings: Readings::within(path, most_bytes)?,
            path: path.to_owned(),
        })
    }

    /// Returns the path itself.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// Returns the number of readings, the path itself included.
    pub fn count(&self) -> usize {
        1 + self.readings.others().count()
    }

    /// Returns the bytes of all readings together.
    pub fn bytes(&self) -> usize {
        self.readings.each(&self.path).map(|(text, _)| text.len()).sum()
    }

    /// Returns the readings besides the path itself, encoded so that they could be sent.
    pub fn others(&self) -> impl Iterator<Item = String> {
        self.readings.others().map(encode)
    }

    /// Returns each reading, folded.
    pub(super) fn folded(&self) -> impl Iterator<Item = &str> {
        self.readings.each(&self.path).map(|(_, folded)| folded)
    }

    /// Whether the path is not UTF-8 once decoded, in any of its readings.
    pub(super) fn is_in_other_encoding(&self) -> bool {
        self.readings.others().any(is_in_other_encoding)
    }

    pub(super) fn readings(&self) -> &Readings {
        &self.readings
    }
}

/// Whether a reading was not UTF-8: its invalid bytes are replaced. A replacement character that was sent has
/// itself taken the place of something.
pub(super) fn is_in_other_encoding(reading: &str) -> bool {
    !reading.is_ascii() && reading.contains(char::REPLACEMENT_CHARACTER)
}
