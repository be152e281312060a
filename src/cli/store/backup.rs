//! `vestibule store backup`

use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clap::Args;

use super::export::{copy, described};
use super::new_file::{NewFile, unwritable};
use super::whole;
use crate::cli::answer::{Answer, Failure};
use crate::cli::gateway::{self, Gateway, Why};
use crate::clock::Clock;
use crate::control::ExportPurpose;
use crate::store::Summary;

#[derive(Debug, Args)]
pub(in crate::cli) struct Backup {
    /// A new file, or a folder, in which a new file gets its name from the time.
    #[arg(value_name = "FOLDER|FILE")]
    to: PathBuf,
    #[command(flatten)]
    why: Why,
}

impl Backup {
    /// It has its name only when all of it was read again and is what was written.
    pub(super) async fn run(self, gateway: &Gateway, json: bool) -> Result<Answer, Failure> {
        let path = if self.to.is_dir() {
            let now = Clock::system().now();
            self.to
                .join(now.strftime("vestibule-%Y-%m-%dT%H%M%SZ.jsonl").to_string())
        } else {
            self.to
        };
        let new = NewFile::in_nobodys_place(&path)?;
        let mut export = gateway.export(ExportPurpose::Backup, &self.why).await?;
        let written = write(&mut export, new, &path, json).await;
        let read = gateway
            .exported(ExportPurpose::Backup, &self.why, written)
            .await?;
        let text = format!(
            "Backed up {} records to {} and checked them. The master key is not in it: keep that elsewhere.",
            read.records,
            path.display()
        );
        Answer::new(&described(&path, &read), text)
    }
}

async fn write(
    export: &mut gateway::Export,
    mut new: NewFile,
    path: &Path,
    json: bool,
) -> Result<Summary, Failure> {
    let written = copy(export, &path.display(), &mut new.file, json).await?;
    let again = || {
        new.file.sync_all()?;
        let mut again = new.file.try_clone()?;
        again.seek(SeekFrom::Start(0))?;
        Ok(again)
    };
    let again = again().map_err(|error| unwritable(&path.display(), &error))?;
    let (_, read) = whole::read(path, again, json)?;
    if read != written {
        return Err(Failure::failed(format!(
            "{}: what was read again is not what was written; nothing is kept of it",
            path.display()
        )));
    }
    new.put(path, false)?;
    Ok(read)
}
