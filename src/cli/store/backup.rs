//! `vestibule store backup`

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
    /// A new file, or a folder in which to create a file named by the time; "-": standard output.
    #[arg(value_name = "FOLDER|FILE")]
    to: PathBuf,
    #[command(flatten)]
    reason: ReasonArg,
}

impl Backup {
    /// It has its name, or is on standard output, only when all of it was read again and is what was written.
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
        let path = if self.to.is_dir() {
            let now = Clock::system().now();
            self.to
                .join(now.strftime("vestibule-%Y-%m-%dT%H%M%SZ.jsonl").to_string())
        } else {
            self.to
        };
        let made = NewFile::in_nobodys_place(&path);
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
