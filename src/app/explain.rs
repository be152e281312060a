//! Explains requests: what would happen to one, and what happened to a past one.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, to_value};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{BuildError, RunningGateway};
use crate::clock::Clock;
use crate::config::{Config, LogConfig};
use crate::control::{Administration, Command, CommandError};
use crate::log_file::Reopening;
use crate::metrics::Metrics;
use crate::model::{AuditEvent, AuditOutcome, Email};
use crate::proxy::{
    ExplainError, ExplainRequest, Explanation, Gateway, LoggedRequest, RecentRequest, RequestHistory,
    SharedState, find_refusals, find_request,
};
use crate::random::Random;
use crate::route::Routes;
use crate::services::{AuditFilter, AuditOrder, Services};

/// The most reads of the audit log, each of which is bounded.
const LOOKS: usize = 100;

/// The most events of a request.
const EVENTS: usize = 50;

/// Refusals of one account that are told.
const REFUSALS: usize = 200;

/// What would happen to a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExplainReport {
    /// Whether a running gateway explained it, rather than the configuration file.
    pub live: bool,
    /// What.
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// What happened to a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestReport {
    /// From the running gateway's memory: refusals and its own responses.
    pub recent: Option<RecentRequest>,
    /// From the access log.
    pub logged: Option<LoggedRequest>,
    /// Why the access log could not be read.
    pub log_error: Option<String>,
    /// From the audit log.
    pub events: Vec<AuditEvent>,
}

/// What an account was refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefusalReport {
    /// Its address.
    pub email: Email,
    /// From this moment on.
    pub since: Timestamp,
    /// From when on the running gateway remembers the requests that were refused; none if none runs.
    pub remembered_since: Option<Timestamp>,
    /// The requests, the oldest first, at most 200.
    pub requests: Vec<RefusedRequest>,
    /// Why the access log could not be read.
    pub log_error: Option<String>,
    /// The sign-ins and acts that were refused, as the audit log has them, the oldest first, at most 200.
    pub events: Vec<AuditEvent>,
}

/// A request that was refused, by the gateway or by the application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRequest {
    /// The request, as a line of the access log; `bytes` and `duration_us` are not known of those that only the running
    /// gateway remembers.
    #[serde(flatten)]
    pub request: LoggedRequest,
    /// What was refused: the slug; none where only the access log has it, or the application refused.
    pub slug: Option<String>,
    /// Why, where the slug does not say all.
    pub reason: Option<String>,
}

impl From<RecentRequest> for RefusedRequest {
    fn from(recent: RecentRequest) -> Self {
        Self {
            request: LoggedRequest {
                request_id: recent.request_id,
                time: recent.time,
                client: recent.client,
                method: recent.method,
                host: Some(recent.host),
                path: Some(recent.path),
                status: recent.status,
                user: recent.user,
                route: recent.route,
                upstream: None,
                bytes: None,
                duration_us: None,
            },
            slug: recent.slug,
            reason: recent.reason,
        }
    }
}

impl From<LoggedRequest> for RefusedRequest {
    fn from(request: LoggedRequest) -> Self {
        Self {
            request,
            slug: None,
            reason: None,
        }
    }
}

impl RunningGateway {
    /// Explains by the current gateway.
    pub(super) async fn explain(&self, command: Command) -> Result<Value, CommandError> {
        let gateway = self.gateway.load();
        let log = self.config.lock().await.log.clone();
        let services = self.administration.load().services().clone();
        execute(command, &gateway, &services, &log, Some(&self.shared.history)).await
    }
}

/// Explains without a running gateway, by one that is built from the configuration and serves nothing.
pub async fn explain_offline(
    config: &Config,
    administration: &Administration,
    command: Command,
) -> Result<Value, CommandError> {
    let gateway = at_rest(config, administration.services()).map_err(|error| {
        CommandError::new(format!("no gateway can be made of the configuration: {error}"))
    })?;
    execute(command, &gateway, administration.services(), &config.log, None).await
}

fn at_rest(config: &Config, services: &Services) -> Result<Gateway, BuildError> {
    let clock = Clock::system();
    let routes = Routes::new(config, config.public_host().ok_or(BuildError::NoHost)?)?;
    let shared = SharedState {
        history: RequestHistory::since(clock.now()).into(),
        clock,
        random: Random::system(),
        metrics: Metrics::default().into(),
        tunnels: TaskTracker::new(),
        upstream_connections: Arc::default(),
        reopening: Reopening::default(),
        stop: CancellationToken::new(),
    };
    let mut config = config.clone();
    // It serves nothing, so it logs nothing.
    config.log.access = false;
    let is_real = !config.tls.certificates.is_empty();
    Ok(Gateway::new(&config, routes, services.clone(), is_real, shared)?)
}

async fn execute(
    command: Command,
    gateway: &Gateway,
    services: &Services,
    log: &LogConfig,
    history: Option<&RequestHistory>,
) -> Result<Value, CommandError> {
    match command {
        Command::Explain {
            method,
            url,
            user,
            destination,
        } => {
            let question = ExplainRequest::parse(&method, &url, gateway.public_base(), user)?;
            let question = match destination {
                Some(destination) => question.to(&destination)?,
                None => question,
            };
            Ok(to_value(ExplainReport {
                live: history.is_some(),
                explanation: gateway.explain(&question).await?,
            })?)
        }
        Command::Recall(id) => Ok(to_value(history.and_then(|recent| recent.find(&id)))?),
        Command::ExplainRequest(id) => Ok(to_value(recall(&id, services, log, history).await?)?),
        Command::ExplainRefusals { user, since } => Ok(to_value(
            refusals_of(&user, since, services, log, history).await?,
        )?),
        _ => Err(CommandError::new("that needs no explanation")),
    }
}

/// What the gateway remembers, what the access log has besides, and what the audit log has.
async fn refusals_of(
    user: &str,
    since: Timestamp,
    services: &Services,
    log: &LogConfig,
    history: Option<&RequestHistory>,
) -> Result<RefusalReport, CommandError> {
    let account = services.accounts.find(user).await?;
    let remembered = history.map(|history| history.refusals_of(account.id, since));
    let remembered = remembered.into_iter().flatten().map(RefusedRequest::from);
    let mut requests: Vec<RefusedRequest> = remembered.collect();
    let mut log_error = None;
    if has_file(log) {
        let (file, username) = (log.access_file.clone(), account.username.to_string());
        let found = spawn_blocking(move || find_refusals(&file, &username, since, REFUSALS)).await;
        match found.map_err(io::Error::from).flatten() {
            Ok(logged) => {
                let known: HashSet<String> = requests
                    .iter()
                    .map(|one| one.request.request_id.clone())
                    .collect();
                let others = logged.into_iter().filter(|one| !known.contains(&one.request_id));
                requests.extend(others.map(RefusedRequest::from));
            }
            Err(error) => log_error = Some(unreadable(log, &error)),
        }
    }
    requests.sort_by_key(|refused| refused.request.time);
    requests.drain(..requests.len().saturating_sub(REFUSALS));
    let filter = AuditFilter {
        about: services.audit.resolve_subjects(account.email.as_str()).await?,
        outcome: Some(AuditOutcome::Failure),
        from: Some(since),
        ..AuditFilter::default()
    };
    let (mut events, mut after) = (Vec::new(), None);
    for _ in 0..LOOKS {
        let order = AuditOrder::NewestFirst;
        let page = services
            .audit
            .read(filter.clone(), order, after, REFUSALS)
            .await?;
        events.extend(page.events.into_iter().map(|(_, event)| event));
        after = page.next;
        if after.is_none() || events.len() >= REFUSALS {
            break;
        }
    }
    events.truncate(REFUSALS);
    events.reverse();
    Ok(RefusalReport {
        email: account.email,
        since,
        remembered_since: history.map(RequestHistory::refusals_since),
        requests,
        log_error,
        events,
    })
}

fn has_file(log: &LogConfig) -> bool {
    log.access && !log.access_file.as_os_str().is_empty()
}

fn unreadable(log: &LogConfig, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", log.access_file.display())
}

async fn recall(
    id: &str,
    services: &Services,
    log: &LogConfig,
    history: Option<&RequestHistory>,
) -> Result<RequestReport, CommandError> {
    let remembered = history.and_then(|recent| recent.find(id));
    let mut events = Vec::new();
    let filter = AuditFilter {
        request: Some(id.to_owned()),
        // Events come after their request; their times are less precise.
        from: remembered
            .as_ref()
            .and_then(|request| request.time.checked_sub(Duration::from_secs(1)).ok()),
        ..AuditFilter::default()
    };
    let mut after = None;
    for _ in 0..LOOKS {
        let order = AuditOrder::NewestFirst;
        let page = services.audit.read(filter.clone(), order, after, EVENTS).await?;
        events.extend(page.events.into_iter().map(|(_, event)| event));
        after = page.next;
        // The events of one request are written together.
        if after.is_none() || !events.is_empty() {
            break;
        }
    }
    events.reverse();
    let (logged, log_error) = if has_file(log) {
        let (file, id) = (log.access_file.clone(), id.to_owned());
        let found = spawn_blocking(move || find_request(&file, &id)).await;
        match found.map_err(io::Error::from).flatten() {
            Ok(logged) => (logged, None),
            Err(error) => (None, Some(unreadable(log, &error))),
        }
    } else {
        (None, None)
    };
    let recalled = RequestReport {
        recent: remembered,
        logged,
        log_error,
        events,
    };
    if recalled.recent.is_none() && recalled.logged.is_none() && recalled.events.is_empty() {
        let error = recalled.log_error.as_deref();
        return Err(CommandError::new(unknown(id, log, error, history)));
    }
    Ok(recalled)
}

/// The error for an unknown request: where it was looked for, and how far back.
fn unknown(id: &str, log: &LogConfig, error: Option<&str>, history: Option<&RequestHistory>) -> String {
    let memory = match history {
        Some(recent) => format!(
            "the running gateway remembers what it refused since {:.0}",
            recent.refusals_since()
        ),
        None => "no gateway runs that could remember it".to_owned(),
    };
    let file = log.access_file.display();
    let access = if !log.access {
        "no access log is written (log.access)".to_owned()
    } else if log.access_file.as_os_str().is_empty() {
        "the access log goes to standard output: look for the id where that is kept".to_owned()
    } else if let Some(error) = error {
        error.to_owned()
    } else {
        format!("it is not in the last 64 MiB of {file}")
    };
    format!(
        "no request {id} is known: {memory}; no event of the audit log has it; what an application answered is in \
         the access log alone, and {access}"
    )
}

impl From<ExplainError> for CommandError {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::Account(error) => error.into(),
            error => Self::new(error.to_string()),
        }
    }
}
