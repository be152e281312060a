//! The format of export files: JSON Lines, version 1.
//!
//! ```text
//! {"vestibule-export":{"version":1,"made_at":"…","gateway":"0.1.0","kinds":["names-key",…]}}
//! {"account":{"id":"…",…}}
//! …
//! {"end":{"records":1,"counts":{"account":1,…},"sha256":"…"}}
//! ```
//!
//! Each line is an object with one member, whose name is the kind of the line. The last line reveals a file
//! that was cut off or changed: `sha256` covers all bytes before it, line breaks included.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Export, Record, RecordKind};
use crate::store::StoreError;

/// The version that this program writes, and the only one that it reads.
pub(super) const VERSION: u32 = 1;

/// The beginning of the last line.
pub(super) const END: &[u8] = b"{\"end\":";

/// The number of records by kind.
pub type Counts = BTreeMap<String, u64>;

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub version: u32,
    /// The moment of which the file has the records.
    pub made_at: Timestamp,
    /// The version of the program that wrote the file.
    pub gateway: String,
    /// The kinds of records that the program knew.
    pub kinds: Vec<String>,
}

/// The last line: what was written, or read so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The number of records.
    pub records: u64,
    /// The number of records by kind.
    pub counts: Counts,
    /// SHA-256 of all lines before the last one, in hexadecimal.
    pub sha256: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HeaderLine {
    #[serde(rename = "vestibule-export")]
    pub(super) header: Header,
}

#[derive(Serialize, Deserialize)]
pub(super) struct EndLine {
    pub(super) end: Summary,
}

/// The running checksum and counts.
#[derive(Default)]
pub(super) struct Tally {
    hash: Sha256,
    counts: Counts,
}

impl Tally {
    pub(super) fn new() -> Self {
        let counts = RecordKind::ALL.map(|kind| (kind.as_str().to_owned(), 0)).into();
        Self {
            hash: Sha256::new(),
            counts,
        }
    }

    /// Adds the bytes of whole lines, except the last one.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    pub(super) fn count(&mut self, record: &Record) {
        *self.counts.entry(record.kind().as_str().to_owned()).or_default() += 1;
    }

    pub(super) fn records(&self) -> u64 {
        self.counts.values().sum()
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            records: self.records(),
            counts: self.counts.clone(),
            sha256: base16ct::lower::encode_string(&self.hash.clone().finalize()),
        }
    }
}

/// Writes an export as a file, some records at a time, which bounds the memory.
pub struct ExportWriter {
    export: Box<dyn Export>,
    tally: Tally,
    next: Next,
}

enum Next {
    Header(Header),
    Records,
    Nothing,
}

impl ExportWriter {
    /// Begins the file of an export made at `made_at`.
    pub fn new(export: Box<dyn Export>, made_at: Timestamp) -> Self {
        Self {
            export,
            tally: Tally::new(),
            next: Next::Header(Header {
                version: VERSION,
                made_at,
                gateway: env!("CARGO_PKG_VERSION").to_owned(),
                kinds: RecordKind::ALL.map(|kind| kind.as_str().to_owned()).to_vec(),
            }),
        }
    }

    /// Returns the next lines; `None` at the end. After an error the file must be discarded.
    pub async fn lines(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut lines = Vec::new();
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Header(header) => {
                write(&mut lines, &HeaderLine { header })?;
                self.tally.pass(&lines);
                self.next = Next::Records;
            }
            Next::Records => {
                let records = self.export.next().await?;
                if records.is_empty() {
                    let end = self.tally.summary();
                    write(&mut lines, &EndLine { end })?;
                } else {
                    for record in &records {
                        self.tally.count(record);
                        write(&mut lines, record)?;
                    }
                    self.tally.pass(&lines);
                    self.next = Next::Records;
                }
            }
            Next::Nothing => return Ok(None),
        }
        Ok(Some(lines))
    }

    /// The summary of what was written so far.
    pub fn summary(&self) -> Summary {
        self.tally.summary()
    }
}

impl std::fmt::Debug for ExportWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportWriter").finish_non_exhaustive()
    }
}

fn write(lines: &mut Vec<u8>, line: &impl Serialize) -> Result<(), StoreError> {
    serde_json::to_writer(&mut *lines, line)
        .map_err(|error| StoreError::Unavailable(format!("a record cannot be written: {error}")))?;
    lines.push(b'\n');
    Ok(())
}
