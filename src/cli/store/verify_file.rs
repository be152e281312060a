//! Verifies an export or a backup by reading all of it.

use std::fmt::Display;
use std::io::{BufReader, Read};
use std::path::Path;

use serde_json::json;

use crate::cli::output::{CommandOutput, Failure};
use crate::cli::progress::Progress;
use crate::cli::standard_stream;
use crate::store::{ExportReader, Header, Summary};

/// `vestibule store verify FILE`
pub(super) fn verify(path: &Path, json: bool) -> Result<CommandOutput, Failure> {
    let name = standard_stream::input_name(path);
    let file = standard_stream::open_input(path);
    let file = file.map_err(|error| Failure::failed(format!("{name}: {error}")))?;
    let (header, summary) = read(&name, file, json)?;
    let document = json!({
        "file": path,
        "made_at": header.made_at,
        "gateway": header.gateway,
        "records": summary.records,
        "counts": summary.counts,
        "sha256": summary.sha256,
    });
    let text = format!(
        "The file is whole: {} records, made at {} by version {}.",
        summary.records, header.made_at, header.gateway
    );
    CommandOutput::new(&document, text)
}

/// Reads a file of this name in messages; fails unless it is complete.
pub(super) fn read(name: &impl Display, file: impl Read, json: bool) -> Result<(Header, Summary), Failure> {
    let wrong = |error| Failure::failed(format!("{name}:{error}"));
    let mut reader = ExportReader::begin(BufReader::new(file)).map_err(wrong)?;
    let (progress, mut records) = (Progress::new(json), 0);
    while reader.record().map_err(wrong)?.is_some() {
        records += 1;
        progress.at(records);
    }
    Ok((reader.header().clone(), reader.summary()))
}
