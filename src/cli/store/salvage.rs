//! `vestibule store salvage`: writes what is readable of a damaged store to a new file.

use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::export::described;
use super::new_file::{NewFile, folder_of, unwritable};
use crate::cli::admin_client::AdminClient;
use crate::cli::output::{CommandOutput, Failure, mention};
use crate::cli::progress::Progress;
use crate::cli::standard_stream;
use crate::store::{self, Losses};

/// The most losses that are listed.
const TOLD: usize = 10;

#[derive(Debug, Args)]
pub(in crate::cli) struct Salvage {
    /// A new file, in a folder with room for a temporary copy of the store; "-": standard output, with the copy in TMPDIR.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Salvage {
    /// With standard output, writes the file there itself and the losses on standard error.
    pub(super) async fn run(
        self,
        client: &AdminClient,
        json: bool,
    ) -> Result<Option<CommandOutput>, Failure> {
        let path = &self.file;
        if standard_stream::is_named_by(path) {
            let mut salvage = client.salvage(&env::temp_dir()).await?;
            copy(&mut salvage, &"standard output", &mut io::stdout().lock(), json).await?;
            mention(lost(&salvage.losses()));
            return Ok(None);
        }
        let mut new = NewFile::create_new(path)?;
        let mut salvage = client.salvage(folder_of(path)).await?;
        copy(&mut salvage, &path.display(), &mut new.file, json).await?;
        new.put(path, false)?;
        let (summary, losses) = (salvage.file.summary(), salvage.losses());
        let mut document = described(path, &summary);
        document["unreadable"] = losses.unreadable.into();
        document["left_out"] = losses.left_out.into();
        document["faults"] = losses.faults.clone().into();
        let text = format!(
            "Salvaged {} records to {}; {}",
            summary.records,
            path.display(),
            lost(&losses)
        );
        CommandOutput::new(&document, text).map(Some)
    }
}

/// Writes the readable records to `to`, which has this name in messages.
async fn copy(
    salvage: &mut store::Salvage,
    name: &impl Display,
    to: &mut impl Write,
    json: bool,
) -> Result<(), Failure> {
    let (progress, mut lines_so_far) = (Progress::new(json), 0);
    let failed = |error| Failure::failed(format!("the store cannot be read on: {error}"));
    while let Some(lines) = salvage.file.lines().await.map_err(failed)? {
        to.write_all(&lines).map_err(|error| unwritable(name, &error))?;
        lines_so_far += memchr::memchr_iter(b'\n', &lines).count() as u64;
        progress.at(lines_so_far);
    }
    to.flush().map_err(|error| unwritable(name, &error))
}

fn lost(losses: &Losses) -> String {
    let Losses {
        unreadable,
        left_out,
        faults,
    } = losses;
    if faults.is_empty() {
        return "all that was found could be read.".to_owned();
    }
    let mut lines = vec![format!(
        "{unreadable} cannot be read, and {left_out} are left out that are of no use without those:"
    )];
    lines.extend(faults.iter().take(TOLD).cloned());
    let more = (unreadable + left_out).saturating_sub(TOLD as u64);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n  ")
}
