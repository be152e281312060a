//! `vestibule store …`: verifies, exports, imports, backs up and salvages the store.

mod backup;
mod export;
mod import;
mod new_file;
mod salvage;
mod verify_file;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::admin_client::AdminClient;
use super::output::{CommandOutput, Failure};
use crate::control::Command;
use crate::store::Verification;

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Read the whole store and check that it is sound.
    Verify {
        /// Check this export or backup instead; "-": standard input.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Export the whole store as it is at one moment, as JSON Lines that `store import` reads.
    Export(export::StoreExport),
    /// Fill a new store from an export or a backup, while the gateway is stopped.
    Import(import::StoreImport),
    /// Write an export to a new file and check it.
    Backup(backup::Backup),
    /// Write what can be read of a damaged store to a new file, while the gateway is stopped.
    Salvage(salvage::Salvage),
}

impl Store {
    /// Writes an export to standard output itself, and else returns the result.
    pub(super) async fn run(
        self,
        client: &AdminClient,
        json: bool,
    ) -> Result<Option<CommandOutput>, Failure> {
        match self {
            Self::Verify { file: None } => verify(client).await.map(Some),
            Self::Verify { file: Some(file) } => verify_file::verify(&file, json).map(Some),
            Self::Export(export) => export.run(client, json).await,
            Self::Import(import) => import.run(client, json).await.map(Some),
            Self::Backup(backup) => backup.run(client, json).await,
            Self::Salvage(salvage) => salvage.run(client, json).await,
        }
    }
}

/// `vestibule store verify FILE`: needs no gateway.
pub(super) fn verify_file(file: &Path, json: bool) -> Result<CommandOutput, Failure> {
    verify_file::verify(file, json)
}

async fn verify(client: &AdminClient) -> Result<CommandOutput, Failure> {
    let found: Verification = client.send(Command::VerifyStore).await?;
    let text = format!(
        "The store is sound. Accounts: {}, sessions: {}, invitations: {}, access keys: {}.",
        found.accounts, found.sessions, found.invitations, found.access_keys
    );
    CommandOutput::new(&found, text)
}
