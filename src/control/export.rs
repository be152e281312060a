//! Export of the whole store.

use serde_json::Value;

use super::{Administration, Command, CommandError, ExportPurpose};
use crate::services::{Actor, Event, Kind, Origin};
use crate::store::ExportWriter;

/// The result of a command.
#[derive(Debug)]
pub enum CommandResult {
    /// A JSON document: see [`Command`].
    Document(Value),
    /// Lines of an export.
    Lines(ExportWriter),
}

impl From<Value> for CommandResult {
    fn from(document: Value) -> Self {
        Self::Document(document)
    }
}

impl Administration {
    /// Executes any command, exports included.
    pub async fn run(&self, command: Command, by: &Actor) -> Result<CommandResult, CommandError> {
        match command {
            Command::ExportStore(purpose) => Ok(CommandResult::Lines(self.export(purpose, by).await?)),
            command => self.execute(command, by).await.map(CommandResult::Document),
        }
    }

    /// Audits that the caller could not write or check an export.
    pub(super) fn note_failed_export(&self, purpose: ExportPurpose, by: &Actor) {
        let event = Event::failure(purpose.kind(), "store", "not-written").by(by);
        self.services.audit.note(&Origin::default(), &event);
    }

    /// Starts an export. It contains every password hash, so it is audited before any of it leaves.
    pub async fn export(&self, purpose: ExportPurpose, by: &Actor) -> Result<ExportWriter, CommandError> {
        let event = Event::success(purpose.kind(), "store").by(by);
        let audit = &self.services.audit;
        let recorded = audit.record(&Origin::default(), &event).await;
        recorded.map_err(|error| CommandError::new(format!("nothing is exported: {error}")))?;
        audit.flush().await;
        let export = self.store.export().await?;
        Ok(ExportWriter::new(export, self.clock.now()))
    }
}

impl ExportPurpose {
    fn kind(self) -> Kind {
        match self {
            Self::Export => Kind::StoreExport,
            Self::Backup => Kind::StoreBackup,
        }
    }
}
