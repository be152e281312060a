//! The gateway that commands talk to: the one that runs, or else its store.

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
use crate::control::{
    Administration, ClientError, Command, ExportPurpose, ExportStream, ImportError, ImportResult,
    ImportScope, OpenError, SocketClient, by_command_of, import_store, is_made, salvage_store,
};
use crate::random::Random;
use crate::secret::Secret;
use crate::services::{Actor, Audit};
use crate::store::{ExportFile, Salvage, Summary};

/// A file of which nothing is kept.
const NOWHERE: &str = "/dev/null";

/// Why a command is asked.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ReasonArg {
    /// The reason, for the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Reached when it is first asked something.
#[derive(Debug)]
pub(super) struct AdminClient {
    config: Config,
    client: SocketClient,
    /// The store that the configuration names.
    opened: OnceCell<Administration>,
    /// An empty one in a folder of its own, for those who only read where no store was ever made.
    unmade: OnceCell<(Administration, TempDir)>,
    /// Whether the record's lines go nowhere that should go to standard output.
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

    /// Has a store that this opens keep its audit log without showing the lines where no `audit.file` is set: of an
    /// import there are as many as accounts.
    pub(super) fn keep_audit_log_off_the_terminal(&self) {
        self.hides_audit_log.store(true, Ordering::Relaxed);
    }

    /// Whether what was asked was asked of the gateway itself, which sends what waits, and not of its store.
    pub(super) fn runs(&self) -> bool {
        !self.opened.initialized() && !self.unmade.initialized()
    }

    /// Has a command executed. `T` is what [`Command`] says that it answers.
    pub(super) async fn send<T: DeserializeOwned>(&self, command: Command) -> Result<T, Failure> {
        understood(self.execute(command, None).await?)
    }

    /// The same, and says why it is asked.
    pub(super) async fn send_with_reason<T: DeserializeOwned>(
        &self,
        command: Command,
        ReasonArg { reason }: ReasonArg,
    ) -> Result<T, Failure> {
        understood(self.execute(command, reason.as_deref()).await?)
    }

    /// The same, of a gateway that runs and of nothing else.
    pub(super) async fn send_to_running<T: DeserializeOwned>(&self, command: Command) -> Result<T, Failure> {
        self.send_to_running_with_reason(command, ReasonArg::default())
            .await
    }

    /// The same, and says why it is asked.
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
            Command::Explain { .. } | Command::ExplainRequest(_) => {
                // On the heap: it makes a whole gateway.
                Box::pin(explain_offline(&self.config, administration, command)).await
            }
            command => administration.execute(command, &actor(reason)).await,
        };
        administration.services().audit.flush().await;
        Ok(outcome?)
    }

    /// Has everything in the store written out.
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

    /// What became of what was exported: that it came to nothing is on record too.
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

    /// Has what was refused here put on record. None is made for it where there is no store, and the failure itself says
    /// more than that nobody could be told of it.
    pub(super) async fn note(&self, command: Command, reason: &ReasonArg) {
        if self.client.is_running().await || matches!(self.is_made().await, Ok(true)) {
            let _ = self.send_with_reason::<Value>(command, reason.clone()).await;
        }
    }

    /// Fills the store, which must be empty, from a file that is called this; no gateway may run.
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
        Ok(imported)
    }

    /// Takes out of the store what can be read of it; no gateway may run. A copy of it is made in `scratch`.
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

    /// The store, made if there is none.
    async fn writable(&self) -> Result<&Administration, Failure> {
        self.opened
            .get_or_try_init(async || {
                let mut config = self.config.clone();
                // Standard output belongs to the answer.
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

    /// The store; where there is none, an empty one that leaves nothing behind.
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

/// An export on its way, from the gateway that runs or from its store.
#[derive(Debug)]
pub(super) enum ExportSource {
    Running(ExportStream),
    Opened(ExportFile),
}

impl ExportSource {
    /// The next lines; none at the end of an export that is whole.
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

    /// What there was, after the end.
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
