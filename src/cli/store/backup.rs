//! `vestibule store backup`: exports to a new file and verifies it.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::export::{copy, described};
use super::new_file::{NewFile, unwritable};
use super::verify_file;
use crate::cli::admin_client::{self, AdminClient, ReasonArg};
use crate::cli::output::{CommandOutput, Failure};
use crate::cli::standard_stream;
use crate::clock::Clock;
use crate::control::ExportPurpose;
use crate::store::Summary;

#[derive(Debug, Args)]
pub(in crate::cli) struct Backup {
    /// A new file, whose name ends in .jsonl, or a folder that exists, in which to create a file named by the time; "-":
    /// standard output.
    #[arg(value_name = "FOLDER|FILE")]
    to: PathBuf,
    #[command(flatten)]
    reason: ReasonArg,
}

impl Backup {
    /// The file gets its name, or goes to standard output, only after it was read back and found equal.
    pub(super) async fn run(
        self,
        client: &AdminClient,
        json: bool,
    ) -> Result<Option<CommandOutput>, Failure> {
        if standard_stream::is_named_by(&self.to) {
            let mut export = client.export(ExportPurpose::Backup, &self.reason).await?;
            let written = write_out(&mut export, json).await;
            client
                .exported(ExportPurpose::Backup, &self.reason, written)
                .await?;
            return Ok(None);
        }
        let path = client
            .exported(ExportPurpose::Backup, &self.reason, file_at(&self.to))
            .await?;
        let made = NewFile::create_new(&path);
        let new = client.exported(ExportPurpose::Backup, &self.reason, made).await?;
        let mut export = client.export(ExportPurpose::Backup, &self.reason).await?;
        let written = write(&mut export, new, &path, json).await;
        let read = client
            .exported(ExportPurpose::Backup, &self.reason, written)
            .await?;
        let text = format!(
            "Backed up {} records to {} and checked them. The master key is not in the backup: keep a copy of it elsewhere.",
            read.records,
            path.display()
        );
        CommandOutput::new(&described(&path, &read), text).map(Some)
    }
}

/// The file at this path, or in this folder. A name that is no file's must be a folder that is there: where one should be
/// mounted and is not, a file of its name would go unnoticed until it is needed.
fn file_at(to: &Path) -> Result<PathBuf, Failure> {
    if to.is_dir() {
        let now = Clock::system().now();
        return Ok(to.join(now.strftime("vestibule-%Y-%m-%dT%H%M%SZ.jsonl").to_string()));
    }
    if to.extension().is_some_and(|extension| extension == "jsonl") {
        return Ok(to.to_owned());
    }
    Err(Failure::failed(format!(
        "there is no folder {}: make it, or see that it is mounted; a file's name ends in .jsonl",
        to.display()
    )))
}

async fn write_out(export: &mut admin_client::ExportSource, json: bool) -> Result<(), Failure> {
    let name = "standard output";
    let mut file = tempfile::tempfile().map_err(|error| unwritable(&"a temporary file", &error))?;
    write_and_read(export, &mut file, &name, json).await?;
    let mut copy = || {
        file.rewind()?;
        io::copy(&mut file, &mut io::stdout().lock())?;
        io::stdout().flush()
    };
    copy().map_err(|error| unwritable(&name, &error))
}

async fn write(
    export: &mut admin_client::ExportSource,
    mut new: NewFile,
    path: &Path,
    json: bool,
) -> Result<Summary, Failure> {
    let read = write_and_read(export, &mut new.file, &path.display(), json).await?;
    new.put(path, false)?;
    Ok(read)
}

async fn write_and_read(
    export: &mut admin_client::ExportSource,
    file: &mut File,
    name: &impl Display,
    json: bool,
) -> Result<Summary, Failure> {
    let written = copy(export, name, file, json).await?;
    let again = || {
        file.sync_all()?;
        let mut again = file.try_clone()?;
        again.rewind()?;
        Ok(again)
    };
    let again = again().map_err(|error| unwritable(name, &error))?;
    let (_, read) = verify_file::read(name, again, json)?;
    if read != written {
        return Err(Failure::failed(format!(
            "{name}: what was read again is not what was written; nothing is kept of it"
        )));
    }
    Ok(read)
}
