//! The file that records are written to: JSON Lines.
//!
//! ```text
//! {"vestibule-export":{"version":1,"made_at":"…","gateway":"0.1.0","kinds":["names-key",…]}}
//! {"account":{"id":"…",…}}
//! …
//! {"end":{"records":1,"counts":{"account":1,…},"sha256":"…"}}
//! ```
//!
//! Each line is an object with one member, whose name says what the line is. The last one tells a file that was cut off,
//! or changed, from a whole one: `sha256` is of all bytes before it, line breaks included.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Export, Record};
use crate::store::StoreError;

/// The version that this program writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;

/// What the last line begins with.
pub(super) const END: &[u8] = b"{\"end\":";

/// How many records there are of each kind.
pub type Counts = BTreeMap<String, u64>;

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Of the file's form.
    pub version: u32,
    /// At this moment the records were as the file has them.
    pub made_at: Timestamp,
    /// The version of the program that wrote it.
    pub gateway: String,
    /// The kinds of records that it knew.
    pub kinds: Vec<String>,
}

/// The last line: what was written, or read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Records of all kinds.
    pub records: u64,
    /// Of each kind.
    pub counts: Counts,
    /// SHA-256 of all lines before the last one, in hexadecimal.
    pub sha256: String,
}

/// The line that the header is.
#[derive(Serialize, Deserialize)]
pub(super) struct HeaderLine {
    #[serde(rename = "vestibule-export")]
    pub(super) header: Header,
}

/// The line that ends the file.
#[derive(Serialize, Deserialize)]
pub(super) struct EndLine {
    pub(super) end: Summary,
}

/// What went by so far.
#[derive(Default)]
pub(super) struct Tally {
    hash: Sha256,
    counts: Counts,
}

impl Tally {
    pub(super) fn new() -> Self {
        let counts = Record::KINDS.map(|kind| (kind.to_owned(), 0)).into();
        Self {
            hash: Sha256::new(),
            counts,
        }
    }

    /// Bytes of whole lines, the last one excepted.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    pub(super) fn count(&mut self, record: &Record) {
        *self.counts.entry(record.kind().to_owned()).or_default() += 1;
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

/// A file as it is written, some records at a time: never is more of it in memory than that.
pub struct ExportFile {
    export: Box<dyn Export>,
    tally: Tally,
    next: Next,
}

enum Next {
    Header(Header),
    Records,
    Nothing,
}

impl ExportFile {
    /// Of what was exported at this moment.
    pub fn new(export: Box<dyn Export>, made_at: Timestamp) -> Self {
        Self {
            export,
            tally: Tally::new(),
            next: Next::Header(Header {
                version: VERSION,
                made_at,
                gateway: env!("CARGO_PKG_VERSION").to_owned(),
                kinds: Record::KINDS.map(str::to_owned).to_vec(),
            }),
        }
    }

    /// The next lines; none at the end. After an error the file is not to be used.
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

    /// What was written so far.
    pub fn summary(&self) -> Summary {
        self.tally.summary()
    }
}

impl std::fmt::Debug for ExportFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportFile").finish_non_exhaustive()
    }
}

fn write(lines: &mut Vec<u8>, line: &impl Serialize) -> Result<(), StoreError> {
    serde_json::to_writer(&mut *lines, line)
        .map_err(|error| StoreError::Unavailable(format!("a record cannot be written: {error}")))?;
    lines.push(b'\n');
    Ok(())
}
