//! Explains requests: what would happen to one, and what happened to a past one.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, to_value};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{BuildError, RunningGateway};
use crate::api::{LoggedRequest, RecentRequest, RequestReport};
use crate::clock::Clock;
use crate::config::{Config, LogConfig};
use crate::control::{Administration, Command, CommandError};
use crate::log_file::Reopening;
use crate::metrics::Metrics;
use crate::model::{AuditEvent, AuditOutcome, Email};
use crate::proxy::{
    CompressionBudget, ExplainError, ExplainRequest, Explanation, Gateway, RequestHistory, SharedState,
    find_past_request, find_refusals, search_access_log,
};
use crate::random::Random;
use crate::route::Routes;
use crate::services::{AuditFilter, AuditOrder, Services};

/// The most reads of the audit log, each of which is bounded.
const LOOKS: usize = 100;

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
        compression: CompressionBudget::default(),
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
            client,
        } => {
            let question = ExplainRequest::parse(&method, &url, gateway.public_base(), user)?;
            let question = match destination {
                Some(destination) => question.to(&destination)?,
                None => question,
            };
            let question = match client {
                Some(client) => question.from_client(client),
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
    let username = account.username.to_string();
    let search = move |file: &Path| find_refusals(file, &username, since, REFUSALS);
    match search_access_log(log, search).await {
        Ok(logged) => {
            let known: HashSet<String> = requests
                .iter()
                .map(|one| one.request.request_id.clone())
                .collect();
            let logged = logged.into_iter().flatten();
            let others = logged.filter(|one| !known.contains(&one.request_id));
            requests.extend(others.map(RefusedRequest::from));
        }
        Err(error) => log_error = Some(error),
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

async fn recall(
    id: &str,
    services: &Services,
    log: &LogConfig,
    history: Option<&RequestHistory>,
) -> Result<RequestReport, CommandError> {
    let report = find_past_request(id, &services.audit, log, history).await?;
    if report.is_empty() {
        let error = report.log_error.as_deref();
        return Err(CommandError::new(unknown(id, log, error, history)));
    }
    Ok(report)
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
