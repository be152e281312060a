//! The client of commands: talks to the running gateway, or else opens the store and executes commands
//! itself.

use std::fmt::Display;
use std::io::BufRead;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::output::{Failure, mention};
use crate::app::explain_offline;
use crate::clock::Clock;
use crate::config::{Config, SecretSource};
use crate::control::bootstrap::LinkFile;
use crate::control::{
    Administration, ClientError, Command, ExportPurpose, ExportStream, ImportError, ImportResult,
    ImportScope, OpenError, SocketClient, by_command_of, import_store, is_made, salvage_store,
};
use crate::random::Random;
use crate::secret::Secret;
use crate::services::{Actor, Audit};
use crate::store::{ExportWriter, Salvage, Summary};

/// The audit file that discards its lines.
const NOWHERE: &str = "/dev/null";

/// Why a command is asked.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ReasonArg {
    /// The reason, for the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Connects, or opens the store, with its first command.
#[derive(Debug)]
pub(super) struct AdminClient {
    config: Config,
    client: SocketClient,
    /// The configured store.
    opened: OnceCell<Administration>,
    /// An empty store in a temporary folder, for commands that only read where no store was created.
    unmade: OnceCell<(Administration, TempDir)>,
    /// Whether to discard audit lines that would go to standard output.
    hides_audit_log: AtomicBool,
}

impl AdminClient {
    pub(super) fn new(config: Config) -> Self {
        Self {
            client: SocketClient::of(&config),
            config,
            opened: OnceCell::new(),
            unmade: OnceCell::new(),
            hides_audit_log: AtomicBool::new(false),
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Discards the audit lines of a store that is opened here, where `audit.file` is not set: an import has
    /// as many lines as accounts.
    pub(super) fn keep_audit_log_off_the_terminal(&self) {
        self.hides_audit_log.store(true, Ordering::Relaxed);
    }

    /// Returns whether commands go to the running gateway, which also sends queued mails, rather than to the
    /// store.
    pub(super) fn runs(&self) -> bool {
        !self.opened.initialized() && !self.unmade.initialized()
    }

    /// Executes a command. `T` is the result that [`Command`] documents.
    pub(super) async fn send<T: DeserializeOwned>(&self, command: Command) -> Result<T, Failure> {
        understood(self.execute(command, None).await?)
    }

    /// Like [`Self::send`], with a reason for the audit log.
    pub(super) async fn send_with_reason<T: DeserializeOwned>(
        &self,
        command: Command,
        ReasonArg { reason }: ReasonArg,
    ) -> Result<T, Failure> {
        understood(self.execute(command, reason.as_deref()).await?)
    }

    /// Like [`Self::send`], but fails unless a gateway runs.
    pub(super) async fn send_to_running<T: DeserializeOwned>(&self, command: Command) -> Result<T, Failure> {
        self.send_to_running_with_reason(command, ReasonArg::default())
            .await
    }

    /// Like [`Self::send_to_running`], with a reason for the audit log.
    pub(super) async fn send_to_running_with_reason<T: DeserializeOwned>(
        &self,
        command: Command,
        ReasonArg { reason }: ReasonArg,
    ) -> Result<T, Failure> {
        let outcome = self.client.send_with_reason(&command, reason.as_deref()).await;
        understood(outcome.map_err(|error| Failure::failed(error.to_string()))??)
    }

    async fn execute(&self, command: Command, reason: Option<&str>) -> Result<Value, Failure> {
        if self.runs() {
            match self.client.send_with_reason(&command, reason).await {
                Ok(outcome) => return Ok(outcome?),
                Err(ClientError::NotRunning(_)) => {}
                Err(error) => return Err(Failure::failed(error.to_string())),
            }
        }
        let administration = if command.only_reads() {
            self.readable(&command).await?
        } else {
            self.writable().await?
        };
        let outcome = match command {
            Command::Explain { .. } | Command::ExplainRequest(_) | Command::ExplainRefusals { .. } => {
                // Boxed: its future builds a whole gateway.
                Box::pin(explain_offline(&self.config, administration, command)).await
            }
            command => {
                let outcome = administration.execute(command, &actor(reason)).await;
                self.remove_spent_link(administration).await;
                outcome
            }
        };
        administration.services().audit.flush().await;
        Ok(outcome?)
    }

    /// Removes the link for the first administrator once there is one, as a running gateway does.
    async fn remove_spent_link(&self, administration: &Administration) {
        let file = LinkFile::beside(&self.config.listen.admin_socket);
        if let Err(error) = file.remove_if_spent(&administration.services().accounts).await {
            mention(format_args!(
                "{} cannot be removed: {error}. It serves nobody any more",
                file.path().display()
            ));
        }
    }

    /// Starts an export of the store.
    pub(super) async fn export(
        &self,
        purpose: ExportPurpose,
        why: &ReasonArg,
    ) -> Result<ExportSource, Failure> {
        let reason = why.reason.as_deref();
        match self.client.export(purpose, reason).await {
            Ok(exporting) => return Ok(ExportSource::Running(exporting?)),
            Err(ClientError::NotRunning(_)) => {}
            Err(error) => return Err(Failure::failed(error.to_string())),
        }
        self.require_made("nothing is exported").await?;
        let administration = self.writable().await?;
        Ok(ExportSource::Opened(
            administration.export(purpose, &actor(reason)).await?,
        ))
    }

    /// Passes on the result of an export; a failure is audited too.
    pub(super) async fn exported<T>(
        &self,
        purpose: ExportPurpose,
        reason: &ReasonArg,
        outcome: Result<T, Failure>,
    ) -> Result<T, Failure> {
        if outcome.is_err() {
            self.note(Command::NoteFailedExport(purpose), reason).await;
        }
        outcome
    }

    /// Audits a refusal by the command itself. Creates no store for it, and ignores errors: the refusal is
    /// reported anyway.
    pub(super) async fn note(&self, command: Command, reason: &ReasonArg) {
        if self.client.is_running().await || matches!(self.is_made().await, Ok(true)) {
            let _ = self.send_with_reason::<Value>(command, reason.clone()).await;
        }
    }

    /// Fills the store, which must be empty, from a file of this name. Fails if a gateway runs.
    pub(super) async fn import(
        &self,
        name: &str,
        source: impl BufRead,
        wanted: ImportScope,
        reason: &ReasonArg,
        progress: impl FnMut(u64),
    ) -> Result<ImportResult, Failure> {
        self.require_stopped("An import creates a new store").await?;
        let imported = import_store(&self.config, Clock::system(), source, wanted, progress).await;
        let imported = imported.map_err(|error| match error {
            ImportError::Read(_) | ImportError::Refused { .. } | ImportError::MasterKey { .. } => {
                Failure::failed(format!("{name}:{error}; nothing was imported"))
            }
            ImportError::Url(_)
            | ImportError::Owner(_)
            | ImportError::Begin { .. }
            | ImportError::Store(_) => Failure::failed(error.to_string()),
        })?;
        let administration = self.writable().await?;
        imported
            .record(administration, &actor(reason.reason.as_deref()))
            .await?;
        self.remove_spent_link(administration).await;
        Ok(imported)
    }

    /// Starts the salvage of the store, from a copy in `scratch`. Fails if a gateway runs.
    pub(super) async fn salvage(&self, scratch: &Path) -> Result<Salvage, Failure> {
        self.require_stopped("What is damaged is read from a copy")
            .await?;
        self.require_made("nothing is salvaged").await?;
        let begun = salvage_store(&self.config, scratch, Clock::system().now()).await;
        begun.map_err(|error| Failure::failed(error.to_string()))
    }

    async fn require_stopped(&self, why: &str) -> Result<(), Failure> {
        if self.client.is_running().await {
            return Err(Failure::failed(format!(
                "a gateway runs with this configuration: it answers at {}. {why}: stop the gateway first",
                self.config.listen.admin_socket.display()
            )));
        }
        Ok(())
    }

    /// Opens the store, and creates it if it is missing.
    async fn writable(&self) -> Result<&Administration, Failure> {
        self.opened
            .get_or_try_init(async || {
                let mut config = self.config.clone();
                // Standard output is for the result.
                if config.audit.file.as_os_str().is_empty() {
                    let hides = self.hides_audit_log.load(Ordering::Relaxed);
                    config.audit.file = if hides { NOWHERE } else { Audit::STANDARD_ERROR }.into();
                }
                let opened = Administration::open(&config, Clock::system(), Random::system()).await;
                opened.map_err(|error| match error {
                    OpenError::Owner(error) => Failure::failed(error.to_string()),
                    error => self.unopened(&error),
                })
            })
            .await
    }

    /// Opens the store; if it is missing, an empty temporary one.
    async fn readable(&self, command: &Command) -> Result<&Administration, Failure> {
        if matches!(command, Command::VerifyStore) {
            self.require_made("nothing is verified").await?;
        }
        if self.opened.initialized() || self.is_made().await? {
            return self.writable().await;
        }
        let (administration, _) = self
            .unmade
            .get_or_try_init(async || {
                if let Ok(location) = self.config.store.location() {
                    mention(format_args!(
                        "{location} holds no store yet: none is made to read it"
                    ));
                }
                let folder = TempDir::new().map_err(|error| {
                    Failure::failed(format!("no temporary folder can be made, see TMPDIR: {error}"))
                })?;
                let mut config = self.config.clone();
                let url = format!("sled:{}", folder.path().join("store").display());
                config.store.url = SecretSource::Text(Secret::new(url));
                config.store.master_key = SecretSource::File {
                    file: folder.path().join("master.key"),
                };
                config.audit.file = Audit::STANDARD_ERROR.into();
                let opened = Administration::open(&config, Clock::system(), Random::system()).await;
                opened
                    .map(|administration| (administration, folder))
                    .map_err(|error| self.unopened(&error))
            })
            .await?;
        Ok(administration)
    }

    async fn require_made(&self, refusal: &str) -> Result<(), Failure> {
        if self.is_made().await? {
            return Ok(());
        }
        let location = self.config.store.location().map(|location| location.to_string());
        Err(Failure::failed(format!(
            "{refusal}: {} holds no store. See store.url; `vestibule serve` makes one",
            location.unwrap_or_default()
        )))
    }

    async fn is_made(&self) -> Result<bool, Failure> {
        let location = self.config.store.location();
        let location = location.map_err(|error| Failure::failed(format!("store.url: {error}")))?;
        let made = is_made(&location).await;
        made.map_err(|error| self.unopened(&format!("{location}: {error}")))
    }

    fn unopened(&self, error: &impl Display) -> Failure {
        let socket = self.config.listen.admin_socket.display();
        Failure::failed(format!(
            "no gateway answers at {socket}, and {error}. If a gateway does run, use its --config; otherwise see that no \
             other process has the store open"
        ))
    }
}

/// An export being read, from a running gateway or from its store.
#[derive(Debug)]
pub(super) enum ExportSource {
    Running(ExportStream),
    Opened(ExportWriter),
}

impl ExportSource {
    /// Returns the next lines; `None` at the end of a complete export.
    pub(super) async fn lines(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Running(exporting) => {
                let lines = exporting.lines().await;
                Ok(lines.map_err(|error| Failure::failed(error.to_string()))??)
            }
            Self::Opened(file) => file
                .lines()
                .await
                .map_err(|error| Failure::failed(error.to_string())),
        }
    }

    /// The summary of the export, after its end.
    pub(super) fn summary(&self) -> Option<Summary> {
        match self {
            Self::Running(exporting) => exporting.summary().cloned(),
            Self::Opened(file) => Some(file.summary()),
        }
    }
}

fn actor(reason: Option<&str>) -> Actor {
    by_command_of(rustix::process::geteuid().as_raw()).because(reason.unwrap_or_default())
}

fn understood<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value)
        .map_err(|error| Failure::failed(format!("the response of the gateway cannot be read: {error}")))
}
