//! `vestibule store export`

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::new_file::{NewFile, unwritable};
use crate::cli::admin_client::{self, AdminClient, ReasonArg};
use crate::cli::output::{CommandOutput, Failure};
use crate::cli::progress::Progress;
use crate::cli::standard_stream;
use crate::control::ExportPurpose;
use crate::store::Summary;

#[derive(Debug, Args)]
pub(in crate::cli) struct StoreExport {
    /// Write to this file, which is replaced once the export is complete; "-": standard output [default: -]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    reason: ReasonArg,
}

impl StoreExport {
    pub(super) async fn run(
        self,
        client: &AdminClient,
        json: bool,
    ) -> Result<Option<CommandOutput>, Failure> {
        let output = self.output.as_deref();
        let Some(path) = output.filter(|path| !standard_stream::is_named_by(path)) else {
            let mut export = client.export(ExportPurpose::Export, &self.reason).await?;
            let copied = copy(&mut export, &"standard output", &mut io::stdout().lock(), json).await;
            client
                .exported(ExportPurpose::Export, &self.reason, copied)
                .await?;
            return Ok(None);
        };
        let file = client
            .exported(ExportPurpose::Export, &self.reason, NewFile::beside(path))
            .await?;
        let mut export = client.export(ExportPurpose::Export, &self.reason).await?;
        let written = write(&mut export, file, path, json).await;
        let summary = client
            .exported(ExportPurpose::Export, &self.reason, written)
            .await?;
        let text = format!("Exported {} records to {}.", summary.records, path.display());
        CommandOutput::new(&described(path, &summary), text).map(Some)
    }
}

async fn write(
    export: &mut admin_client::ExportSource,
    mut file: NewFile,
    path: &Path,
    json: bool,
) -> Result<Summary, Failure> {
    let summary = copy(export, &path.display(), &mut file.file, json).await?;
    file.put(path, true)?;
    Ok(summary)
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

/// Writes an export as it comes to what has this name.
pub(super) async fn copy(
    export: &mut admin_client::ExportSource,
    name: &impl Display,
    to: &mut impl Write,
    json: bool,
) -> Result<Summary, Failure> {
    let (progress, mut lines_so_far) = (Progress::new(json), 0);
    while let Some(lines) = export.lines().await? {
        to.write_all(&lines).map_err(|error| unwritable(name, &error))?;
        lines_so_far += memchr::memchr_iter(b'\n', &lines).count() as u64;
        progress.at(lines_so_far);
    }
    to.flush().map_err(|error| unwritable(name, &error))?;
    export
        .summary()
        .ok_or_else(|| Failure::failed("the export did not say what was in it"))
}
