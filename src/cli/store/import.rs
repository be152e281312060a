//! `vestibule store import`: fills a new store.

use std::io::BufReader;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::admin_client::{AdminClient, ReasonArg};
use crate::cli::output::{CommandOutput, Failure};
use crate::cli::progress::Progress;
use crate::cli::standard_stream;
use crate::control::ImportScope;

#[derive(Debug, Args)]
pub(in crate::cli) struct StoreImport {
    /// A file that `store export` or `store backup` wrote; "-": standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Leave out sessions and links for a new password or address, so that all users sign in again; invitations are kept.
    #[arg(long)]
    end_sessions: bool,
    #[command(flatten)]
    reason: ReasonArg,
}

impl StoreImport {
    pub(super) async fn run(self, client: &AdminClient, json: bool) -> Result<CommandOutput, Failure> {
        let name = standard_stream::input_name(&self.file);
        let source = standard_stream::open_input(&self.file);
        let source = source.map_err(|error| Failure::failed(format!("{name}: {error}")))?;
        let progress = Progress::new(json);
        let source = BufReader::new(source);
        let wanted = if self.end_sessions {
            ImportScope::WithoutSessions
        } else {
            ImportScope::All
        };
        let imported = client
            .import(&name, source, wanted, &self.reason, |records| {
                progress.at(records);
            })
            .await?;
        drop(progress);
        let (header, summary) = (&imported.header, &imported.summary);
        let document = json!({
            "made_at": header.made_at,
            "gateway": header.gateway,
            "records": summary.records,
            "counts": summary.counts,
            "left_out": imported.left_out,
            "administrators": imported.administrators,
        });
        let mut text = format!(
            "Imported {} records, as they were at {}; {} were left out.",
            summary.records - imported.left_out,
            header.made_at,
            imported.left_out
        );
        if imported.administrators == 0 {
            text += "\nNobody administers this gateway: no active account in the file is in the group that admin.group names. \
                     `vestibule user set-groups` puts one there.";
        }
        CommandOutput::new(&document, text)
    }
}
