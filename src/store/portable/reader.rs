//! Reading of export files, up to the end or the first error.

use std::io::{BufRead, Read};

use serde::Deserialize;

use super::file::{END, EndLine, Header, HeaderLine, Summary, Tally, VERSION};
use super::{Record, RecordKind};

/// The longest line in bytes. The longest lines are accounts with all terms that they ever agreed to.
const LONGEST_LINE: u64 = 4 << 20;

/// Reads an export file line by line.
pub struct ExportReader<R> {
    source: R,
    header: Header,
    tally: Tally,
    /// The number of the last line read, from 1.
    line: u64,
    ended: bool,
}

/// An error in an export file.
#[derive(Debug, thiserror::Error)]
#[error("{line}: {why}")]
pub struct ReadError {
    /// The number of the line, from 1.
    pub line: u64,
    /// What is wrong, and what to do.
    pub why: String,
}

impl<R: BufRead> ExportReader<R> {
    /// Reads the first line.
    pub fn begin(source: R) -> Result<Self, ReadError> {
        let header = Header {
            version: 0,
            made_at: jiff::Timestamp::UNIX_EPOCH,
            gateway: String::new(),
            kinds: Vec::new(),
        };
        let mut reader = Self {
            source,
            header,
            tally: Tally::new(),
            line: 0,
            ended: false,
        };
        let line = reader.line()?;
        reader.header = header_of(&line).map_err(|why| reader.wrong(why))?;
        reader.tally.pass(&line);
        Ok(reader)
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Reads the next record, with its line number. `None` only at the end of a file that is complete.
    pub fn record(&mut self) -> Result<Option<(u64, Record)>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        let line = self.line()?;
        if line.starts_with(END) {
            self.end(&line)?;
            return Ok(None);
        }
        let record: Record = serde_json::from_slice(&line)
            .map_err(|error| self.wrong(format!("not a record that this version knows: {error}")))?;
        // What was typed at a sign-in is kept to the letter.
        if has_nul(&line) && !matches!(record, Record::AuditEvent(_)) {
            return Err(self.wrong("a text in it has a NUL, which no gateway keeps"));
        }
        self.tally.pass(&line);
        self.tally.count(&record);
        Ok(Some((self.line, record)))
    }

    /// The summary of what was read so far.
    pub fn summary(&self) -> Summary {
        self.tally.summary()
    }

    fn end(&mut self, line: &[u8]) -> Result<(), ReadError> {
        let EndLine { end } =
            serde_json::from_slice(line).map_err(|error| self.wrong(format!("not an end: {error}")))?;
        let read = self.tally.summary();
        if end.sha256 != read.sha256 {
            return Err(self.wrong(format!(
                "the checksum is wrong: the file was changed or damaged after it was written ({} records of {} were \
                 read); use another copy",
                read.records, end.records
            )));
        }
        if end != read {
            return Err(self.wrong("the counts are not those of the records before them"));
        }
        let mut rest = [0];
        match self.source.read(&mut rest) {
            Ok(0) => {
                self.ended = true;
                Ok(())
            }
            Ok(_) => Err(self.wrong("something follows the end: two files in one?")),
            Err(error) => Err(self.wrong(error.to_string())),
        }
    }

    /// Reads the next line, with its line break.
    fn line(&mut self) -> Result<Vec<u8>, ReadError> {
        self.line += 1;
        let mut line = Vec::new();
        let read = (&mut self.source).take(LONGEST_LINE).read_until(b'\n', &mut line);
        match read {
            Err(error) => Err(self.wrong(error.to_string())),
            Ok(_) if line.ends_with(b"\n") => Ok(line),
            Ok(_) if line.len() as u64 == LONGEST_LINE => {
                Err(self.wrong(format!("the line is longer than {LONGEST_LINE} bytes")))
            }
            Ok(_) if self.line == 1 && line.is_empty() => Err(self.wrong("there is nothing in it")),
            Ok(_) => Err(self.wrong("the file ends before its end: it was cut off; use another copy")),
        }
    }

    fn wrong(&self, why: impl Into<String>) -> ReadError {
        ReadError {
            line: self.line,
            why: why.into(),
        }
    }
}

impl<R> std::fmt::Debug for ExportReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportReader")
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// Returns whether a string in the JSON has a NUL, which JSON can only escape.
fn has_nul(line: &[u8]) -> bool {
    memchr::memmem::find_iter(line, b"\\u0000").any(|at| {
        // After an odd number of backslashes, this one is itself escaped.
        let before = line[..at].iter().rev().take_while(|byte| **byte == b'\\');
        before.count() % 2 == 0
    })
}

/// Parses the version before the rest, because a header of another version may have another form.
fn header_of(line: &[u8]) -> Result<Header, String> {
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(rename = "vestibule-export")]
        header: Version,
    }
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let foreign = |_| "not a file that `vestibule store export` writes".to_owned();
    let Versioned { header } = serde_json::from_slice(line).map_err(foreign)?;
    if header.version != VERSION {
        return Err(format!(
            "the file has version {}, and this program reads version {VERSION}: use the program that wrote it, or a \
             later one",
            header.version
        ));
    }
    let HeaderLine { header } = serde_json::from_slice(line).map_err(foreign)?;
    let is_known = |kind: &str| RecordKind::ALL.iter().any(|known| known.as_str() == kind);
    match header.kinds.iter().find(|kind| !is_known(kind)) {
        Some(kind) => Err(format!(
            "it was written by version {}, which keeps records of a kind that this one does not know ({kind}): use \
             that version, or a later one",
            header.gateway
        )),
        None => Ok(header),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_nul_is_told_from_what_only_reads_like_one() {
        for (text, is_nul) in [
            ("a\0b", true),
            ("\\\0", true),
            ("\\u0000", false),
            ("\\\\u0000", false),
            ("\\u0000\0", true),
            ("", false),
        ] {
            let line = serde_json::to_vec(&[text]).unwrap();
            assert_eq!(has_nul(&line), is_nul, "{text:?}");
        }
    }

    /// The JSON pointers of all objects in a value.
    fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
        let parts: Vec<(String, &Value)> = match value {
            Value::Object(fields) => {
                found.push(at.to_owned());
                fields.iter().map(|(name, part)| (name.clone(), part)).collect()
            }
            Value::Array(parts) => {
                let numbered = parts.iter().enumerate();
                numbered.map(|(index, part)| (index.to_string(), part)).collect()
            }
            _ => Vec::new(),
        };
        for (name, part) in parts {
            objects(part, &format!("{at}/{name}"), found);
        }
    }

    /// What a later version restricts must not be dropped by this one.
    #[test]
    fn a_field_that_is_not_known_is_refused_wherever_it_stands() {
        let export = include_str!("../../../tests/vectors/export-1.jsonl");
        let records = export
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let (mut count, mut found) = (0, Vec::new());
        for record in records.filter(|record| serde_json::from_value::<Record>(record.clone()).is_ok()) {
            found.clear();
            objects(&record, "", &mut found);
            for at in &found {
                let mut odd = record.clone();
                let object = odd.pointer_mut(at).and_then(Value::as_object_mut).unwrap();
                object.insert("later".to_owned(), true.into());
                assert!(serde_json::from_value::<Record>(odd).is_err(), "{at} of {record}");
                count += 1;
            }
        }
        assert!(count > 20, "{count} objects");
    }
}
