//! `vestibule store export`

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use tempfile::NamedTempFile;

use super::progress::Progress;
use crate::cli::answer::{Answer, Failure};
use crate::cli::gateway::{self, Gateway, Why};
use crate::control::ExportPurpose;
use crate::store::Summary;

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// Write it to this file, in whose place it is when it is whole; by default to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    why: Why,
}

impl Export {
    pub(super) async fn run(self, gateway: &Gateway, json: bool) -> Result<Option<Answer>, Failure> {
        let Some(path) = &self.output else {
            let mut export = gateway.export(ExportPurpose::Export, &self.why).await?;
            copy(&mut export, &mut io::stdout().lock(), json).await?;
            return Ok(None);
        };
        let mut file = New::beside(path)?;
        let mut export = gateway.export(ExportPurpose::Export, &self.why).await?;
        let summary = copy(&mut export, &mut file.file, json).await?;
        file.put(path, true)?;
        let text = format!("Exported {} records to {}.", summary.records, path.display());
        Answer::new(&described(path, &summary), text).map(Some)
    }
}

/// What is said of a file to programs.
pub(super) fn described(path: &Path, summary: &Summary) -> serde_json::Value {
    json!({
        "file": path,
        "records": summary.records,
        "counts": summary.counts,
        "sha256": summary.sha256,
    })
}

/// Writes an export as it comes.
pub(super) async fn copy(
    export: &mut gateway::Export,
    to: &mut impl Write,
    json: bool,
) -> Result<Summary, Failure> {
    let (mut progress, mut lines_so_far) = (Progress::new(json), 0);
    while let Some(lines) = export.lines().await? {
        to.write_all(&lines)?;
        lines_so_far += memchr::memchr_iter(b'\n', &lines).count() as u64;
        progress.at(lines_so_far);
    }
    to.flush()?;
    export
        .summary()
        .ok_or_else(|| Failure::failed("the export did not say what was in it"))
}

/// A file that gets its name when it is whole. Its owner's alone from the first byte (S54).
#[derive(Debug)]
pub(super) struct New {
    pub(super) file: NamedTempFile,
}

impl New {
    /// In the folder of the file that it is to be.
    pub(super) fn beside(path: &Path) -> Result<Self, Failure> {
        let file = tempfile::Builder::new()
            .prefix(".vestibule-")
            .suffix(".unfinished")
            .tempfile_in(folder_of(path));
        file.map(|file| Self { file })
            .map_err(|error| unwritable(path, &error))
    }

    /// Has it take its place, or that of a file that is there where it may.
    pub(super) fn put(self, path: &Path, may_replace: bool) -> Result<(), Failure> {
        let put = || {
            self.file.as_file().sync_all()?;
            if may_replace {
                self.file.persist(path)?;
            } else {
                self.file.persist_noclobber(path)?;
            }
            File::open(folder_of(path))?.sync_all()
        };
        put().map_err(|error: io::Error| unwritable(path, &error))
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    Failure::failed(if error.kind() == io::ErrorKind::AlreadyExists {
        format!("{path} exists and stays as it is; name another file")
    } else {
        format!("{path} cannot be written: {error}")
    })
}
