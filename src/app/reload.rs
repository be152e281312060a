//! Reloads the configuration of a running gateway.
//!
//! Everything that can fail happens before anything is replaced. New connections and requests get the new
//! configuration; those under way keep theirs. Sessions, the store and open connections stay.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::{json, to_value};
use tokio::sync::Mutex;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use super::{Addresses, BuildError, Generation};
use crate::api::{ReloadReport, ServerInfo, UpstreamList};
use crate::config::{Config, ConfigErrors, LoadedConfig, StoreLocation};
use crate::control::{Administration, Command, CommandError, CommandResult};
use crate::listener::{ConnectionSettings, ListenerTls};
use crate::log_file::ReopenError;
use crate::proxy::{GatewayHandle, SharedState};
use crate::services::{Actor, Event, Mailer, Origin, ServicesError};

/// How long its files may take to be read until a reload is given up.
const LONGEST_READ: Duration = Duration::from_mins(1);

/// Loads the configuration.
#[derive(Clone)]
pub struct ConfigSource(Arc<dyn Fn() -> Result<LoadedConfig, ConfigErrors> + Send + Sync>);

impl ConfigSource {
    /// Wraps a function that loads it, which may block.
    pub fn new(read: impl Fn() -> Result<LoadedConfig, ConfigErrors> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfigSource")
    }
}

/// The running gateway, with what a reload takes.
#[derive(Debug)]
pub struct RunningGateway {
    pub(super) source: ConfigSource,
    /// The running configuration. A reload holds the lock, so that reloads are serialised.
    pub(super) config: Mutex<Config>,
    pub(super) shared: SharedState,
    pub(super) addresses: Addresses,
    pub(super) gate: Arc<ConnectionSettings>,
    pub(super) tls: ListenerTls,
    pub(super) gateway: Arc<GatewayHandle>,
    pub(super) administration: ArcSwap<Administration>,
    /// The location of the store when it was opened, with its password at the time.
    pub(super) store: Option<StoreLocation>,
}

/// Why nothing was replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration is invalid.
    #[error("the configuration cannot be run")]
    Config(#[from] ConfigErrors),
    /// The new configuration has no route: the file is more likely empty or cut off than meant so.
    #[error(
        "the configuration has no route, and the gateway serves {0}: the file may be empty or cut off; to serve none, \
         restart the gateway"
    )]
    NoRoute(usize),
    /// The gateway could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The audit file cannot be opened again. Its lines go on into the old one.
    #[error("audit.file: {0}")]
    AuditFile(#[from] ReopenError),
    /// A file system does not respond.
    #[error("the files that the configuration names are not read within {} s", LONGEST_READ.as_secs())]
    Slow,
    /// A bug.
    #[error("the reload broke down: {0}")]
    Broken(#[from] JoinError),
}

impl RunningGateway {
    /// Reopens the log files, after log rotation; the access log with its next line. A failure is logged.
    pub fn reopen_logs(&self) {
        if let Err(error) = self.try_to_reopen_logs() {
            error.log();
        }
    }

    fn try_to_reopen_logs(&self) -> Result<(), ReopenError> {
        self.shared.reopening.request();
        self.administration.load().services().audit.reopen()?;
        tracing::info!("the files of logs are opened again");
        Ok(())
    }

    /// Reloads the configuration, or leaves everything as it is on an error; reopens the log files either
    /// way. The result is logged and audited.
    pub async fn reload(&self, by: &Actor) -> Result<ReloadReport, ReloadError> {
        let reloaded = match self.try_to_reopen_logs() {
            Ok(()) => self.replace().await,
            Err(error) => Err(error.into()),
        };
        let event = match &reloaded {
            Ok(reloaded) => Event::reload(&reloaded.changed),
            Err(_) => Event::reload(&[]).failed_because("invalid-configuration"),
        };
        let administration = self.administration.load_full();
        let audit = &administration.services().audit;
        audit.note(&Origin::default(), &event.by(by));
        let by = by.name();
        match &reloaded {
            Ok(reloaded) => {
                for warning in &reloaded.warnings {
                    tracing::warn!("{warning}");
                }
                let (changed, needs_restart) =
                    (reloaded.changed.join(", "), reloaded.needs_restart.join(", "));
                tracing::info!(by, changed, "reloaded");
                if !needs_restart.is_empty() {
                    tracing::warn!(
                        by,
                        needs_restart,
                        "changed, but applied by a restart only: {needs_restart}"
                    );
                }
            }
            Err(error) => {
                for reason in error.reasons() {
                    tracing::error!("{reason}");
                }
                tracing::error!(by, "not reloaded: the gateway runs on as before");
            }
        }
        reloaded
    }

    /// Executes a command of the admin socket.
    pub async fn execute(&self, command: Command, by: &Actor) -> Result<CommandResult, CommandError> {
        match command {
            Command::Reload => Ok(to_value(self.reload(by).await?)?.into()),
            Command::ListUpstreams => {
                let upstreams = self.gateway.load().upstreams().status();
                Ok(to_value(UpstreamList::from(upstreams))?.into())
            }
            Command::Whereabouts => Ok(to_value(self.server_info().await)?.into()),
            Command::Explain { .. }
            | Command::ExplainRequest(_)
            | Command::ExplainRefusals { .. }
            | Command::Recall(_) => self.explain(command).await.map(CommandResult::from),
            command => self.administration.load_full().run(command, by).await,
        }
    }

    async fn server_info(&self) -> ServerInfo {
        let source = self.source.clone();
        let read = spawn_blocking(move || (source.0)()).await;
        let running = self.config.lock().await;
        let changed = read
            .ok()
            .and_then(Result::ok)
            .map(|LoadedConfig { mut config, .. }| {
                keep_port(&mut config, &running);
                let changed = config.differences(&running).into_iter();
                changed.map(str::to_owned).collect()
            });
        ServerInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            public_url: running.public_url.to_string(),
            https: self.addresses.https.clone(),
            http: self.addresses.http.clone(),
            plain: self.addresses.plain.clone(),
            hosts: running.hosts(),
            ops: self.addresses.ops,
            changed,
            lost_changes: self.administration.load().lost_changes(),
        }
    }

    async fn replace(&self) -> Result<ReloadReport, ReloadError> {
        let mut running = self.config.lock().await;
        let next = {
            let (source, running) = (self.source.clone(), running.clone());
            let administration = self.administration.load_full();
            let surroundings = self.shared.clone();
            let store = self.store.clone();
            let prepared = spawn_blocking(move || {
                Next::prepare(&source, &running, &administration, store.as_ref(), surroundings)
            });
            let prepared = timeout(LONGEST_READ, prepared).await;
            prepared.map_err(|_| ReloadError::Slow)???
        };
        // From here on nothing fails.
        self.tls.replace(&next.generation.tls);
        self.shared.metrics.certificate_expiry.set(self.tls.ends());
        self.gate.reload(&next.config);
        self.gateway.replace(next.generation.gateway);
        next.administration.services().apply_config(&next.config);
        self.administration.store(Arc::new(next.administration));
        *running = next.config;
        Ok(next.report)
    }
}

/// What replaces the running configuration and its parts.
struct Next {
    config: Config,
    administration: Administration,
    generation: Generation,
    report: ReloadReport,
}

impl Next {
    fn prepare(
        source: &ConfigSource,
        running: &Config,
        administration: &Administration,
        store: Option<&StoreLocation>,
        shared: SharedState,
    ) -> Result<Self, ReloadError> {
        let LoadedConfig {
            mut config, warnings, ..
        } = (source.0)()?;
        if config.route.is_empty() && !running.route.is_empty() {
            return Err(ReloadError::NoRoute(running.route.len()));
        }
        let mut needs_restart = keep_until_restart(&mut config, running);
        // The file or variable may now have another URL.
        if !needs_restart.contains(&"store") && config.store.location().ok().as_ref() != store {
            needs_restart.push("store");
        }
        if administration.services().access_keys.is_master_key_changed() {
            needs_restart.push("store.master_key");
        }
        Mailer::check_transport(&config)
            .map_err(ServicesError::from)
            .map_err(BuildError::from)?;
        let administration = administration.with_config(&config);
        let generation = Generation::new(&config, administration.services(), shared)?;
        let names = |keys: Vec<&'static str>| keys.into_iter().map(str::to_owned).collect();
        let report = ReloadReport {
            changed: names(config.differences(running)),
            needs_restart: names(needs_restart),
            warnings: warnings.iter().map(ToString::to_string).collect(),
        };
        Ok(Self {
            config,
            administration,
            generation,
            report,
        })
    }
}

/// Replaces port 0 by the bound port.
fn keep_port(new: &mut Config, running: &Config) {
    if new.public_url.port() == Some(0) {
        let _ = new.public_url.set_port(running.public_url.port());
    }
}

/// Replaces what only a restart changes by the running values, and returns the keys that differed.
fn keep_until_restart(new: &mut Config, running: &Config) -> Vec<&'static str> {
    keep_port(new, running);
    let mut kept = Vec::new();
    let mut keep = Keep(&mut kept);
    keep.running("listen.https", &mut new.listen.https, &running.listen.https);
    keep.running("listen.http", &mut new.listen.http, &running.listen.http);
    keep.running("listen.plain", &mut new.listen.plain, &running.listen.plain);
    keep.running("listen.ops", &mut new.listen.ops, &running.listen.ops);
    let (socket, bound) = (&mut new.listen.admin_socket, &running.listen.admin_socket);
    keep.running("listen.admin_socket", socket, bound);
    keep.running("store", &mut new.store, &running.store);
    keep.running("session", &mut new.session, &running.session);
    keep.running("audit", &mut new.audit, &running.audit);
    let (cost, known) = (&mut new.password.bcrypt_cost, &running.password.bcrypt_cost);
    keep.running("password.bcrypt_cost", cost, known);
    let (failures, known) = (
        &mut new.lockout.address_failures,
        running.lockout.address_failures,
    );
    keep.running("lockout.address_failures", failures, &known);
    let (window, known) = (&mut new.lockout.address_window, &running.lockout.address_window);
    keep.running("lockout.address_window", window, known);
    keep.running(
        "limits.connections",
        &mut new.limits.connections,
        &running.limits.connections,
    );
    keep.running("log.level", &mut new.log.level, &running.log.level);
    kept
}

struct Keep<'k>(&'k mut Vec<&'static str>);

impl Keep<'_> {
    fn running<T: PartialEq + Clone>(&mut self, key: &'static str, new: &mut T, running: &T) {
        if new != running {
            self.0.push(key);
            new.clone_from(running);
        }
    }
}

impl ReloadError {
    /// The errors, a sentence each.
    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Config(problems) => problems.errors.iter().map(ToString::to_string).collect(),
            Self::NoRoute(_) | Self::AuditFile(_) | Self::Slow => vec![self.to_string()],
            Self::Build(error) => vec![error.to_string()],
            Self::Broken(error) => vec![error.to_string()],
        }
    }
}

impl From<ReloadError> for CommandError {
    fn from(error: ReloadError) -> Self {
        let mut refused = Self::new("not reloaded: the gateway runs on as before");
        refused
            .details
            .insert("errors".to_owned(), json!(error.reasons()));
        refused
    }
}
