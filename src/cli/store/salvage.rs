//! `vestibule store salvage`

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::export::described;
use super::new_file::{NewFile, folder_of, unwritable};
use crate::cli::answer::{Answer, Failure};
use crate::cli::gateway::Gateway;
use crate::cli::progress::Progress;
use crate::store::Losses;

/// Losses that people are told one by one.
const TOLD: usize = 10;

#[derive(Debug, Args)]
pub(in crate::cli) struct Salvage {
    /// A new file, in a folder with room for a copy of the store, which is made there meanwhile.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Salvage {
    pub(super) async fn run(self, gateway: &Gateway, json: bool) -> Result<Answer, Failure> {
        let path = &self.file;
        let mut new = NewFile::in_nobodys_place(path)?;
        let mut salvage = gateway.salvage(folder_of(path)).await?;
        let (mut progress, mut lines_so_far) = (Progress::new(json), 0);
        let failed = |error| Failure::failed(format!("the store cannot be read on: {error}"));
        while let Some(lines) = salvage.file.lines().await.map_err(failed)? {
            let written = new.file.write_all(&lines);
            written.map_err(|error| unwritable(&path.display(), &error))?;
            lines_so_far += memchr::memchr_iter(b'\n', &lines).count() as u64;
            progress.at(lines_so_far);
        }
        drop(progress);
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
        Answer::new(&document, text)
    }
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
