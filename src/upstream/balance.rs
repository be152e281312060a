//! Balances requests over the servers of an upstream: round robin with health checks, on Pingora's load
//! balancer.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_error::{Error, ErrorType};
use pingora_load_balancing::discovery::Static;
use pingora_load_balancing::health_check::HealthCheck;
use pingora_load_balancing::selection::RoundRobin;
use pingora_load_balancing::{Backend, Backends, LoadBalancer};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::health::Health;
use super::server::Server;
use crate::warning_limit::WarningLimit;

/// Interval of the health checks.
const CHECKED_EVERY: Duration = Duration::from_secs(5);

/// Least time between two checks, when a server is suspected.
const CHECKED_AGAIN: Duration = Duration::from_millis(500);

/// The servers of an upstream, and their rotation.
pub(super) struct Balancer {
    servers: Arc<[Server]>,
    /// `None` for a single server, which is always used.
    rounds: Option<LoadBalancer<RoundRobin>>,
    /// Triggers a health check ahead of time.
    suspected: Arc<Notify>,
    /// Limits the warnings about suspected servers.
    warnings: Arc<WarningLimit>,
}

/// Reports the outcome of a response: [`raise`](Self::raise) on failure, now or during the body, or
/// [`dismiss`](Self::dismiss) once it is complete.
#[derive(Debug)]
pub(super) struct Suspicion {
    health: Arc<Health>,
    checks: Arc<Notify>,
    warnings: Arc<WarningLimit>,
    server: Arc<str>,
}

impl Suspicion {
    /// Marks the server as suspect: others are preferred for a while, and until it responds to a probe.
    pub(super) fn raise(self, reason: &str) {
        if let Some(left_out) = self.health.fail() {
            self.checks.notify_one();
            if let Some(unlogged) = self.warnings.admit() {
                let server = self.server;
                tracing::warn!(%server, reason, ?left_out, unlogged, "others are asked until a server answers a probe");
            }
        }
    }

    /// Reports a complete response.
    pub(super) fn dismiss(self) {
        self.health.succeed();
    }
}

/// The servers that one request was already sent to.
#[derive(Debug, Default)]
pub(super) struct TriedServers(Vec<usize>);

impl Balancer {
    /// Creates a balancer; `None` without servers.
    pub(super) fn new(servers: Vec<Server>) -> Option<Self> {
        let servers: Arc<[Server]> = servers.into();
        let rounds = match servers.len() {
            0 => return None,
            1 => None,
            count => {
                let backends: BTreeSet<_> = (0..count).filter_map(backend).collect();
                let mut rounds = LoadBalancer::from_backends(Backends::new(Static::new(backends)));
                rounds.set_health_check(Box::new(HealthProbe(servers.clone())));
                // The list does not change, and reading it does not wait.
                let _ = futures_util::FutureExt::now_or_never(rounds.update());
                Some(rounds)
            }
        };
        Some(Self {
            servers,
            rounds,
            suspected: Arc::default(),
            warnings: Arc::default(),
        })
    }

    pub(super) fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Whether there is more than one server.
    pub(super) fn has_several(&self) -> bool {
        self.rounds.is_some()
    }

    /// Returns a reporter for the server's response; `None` for a single server, which is always used.
    pub(super) fn suspicion(&self, server: &Server) -> Option<Suspicion> {
        self.rounds.as_ref()?;
        Some(Suspicion {
            health: server.health().clone(),
            checks: self.suspected.clone(),
            warnings: self.warnings.clone(),
            server: server.name().clone(),
        })
    }

    /// Returns the next server that was not tried: in turn, one that accepts connections and is not suspect;
    /// failing that, one that accepts connections; failing that, any.
    pub(super) fn next(&self, tried: &mut TriedServers) -> Option<&Server> {
        let is_new = |index: &usize| !tried.0.contains(index);
        let index = match &self.rounds {
            None => Some(0).filter(is_new),
            Some(rounds) => self
                .select(rounds, tried, false)
                .or_else(|| self.select(rounds, tried, true))
                .or_else(|| (0..self.servers.len()).find(is_new)),
        }?;
        tried.0.push(index);
        self.servers.get(index)
    }

    /// Like [`next`](Self::next), but returns only a server that accepts connections and is not suspect.
    pub(super) fn next_sound(&self, tried: &mut TriedServers) -> Option<&Server> {
        let index = self.select(self.rounds.as_ref()?, tried, false)?;
        tried.0.push(index);
        self.servers.get(index)
    }

    fn select(
        &self,
        rounds: &LoadBalancer<RoundRobin>,
        tried: &TriedServers,
        takes_suspects: bool,
    ) -> Option<usize> {
        let is_sound = |index: usize| {
            self.servers
                .get(index)
                .is_some_and(|server| !server.health().is_suspect())
        };
        let accepts = |backend: &Backend, is_ready: bool| {
            let index = index(backend).filter(|index| !tried.0.contains(index));
            is_ready && index.is_some_and(|index| takes_suspects || is_sound(index))
        };
        let selected = rounds.select_with(b"", 2 * self.servers.len(), accepts);
        selected.and_then(|backend| index(&backend))
    }

    /// Runs health checks at intervals, and ahead of time when a server is suspected or may be readmitted.
    /// Never returns.
    pub(super) async fn run_health_checks(&self) {
        let Some(rounds) = &self.rounds else {
            return;
        };
        loop {
            let checked = Instant::now();
            rounds.backends().run_health_check(true).await;
            tokio::time::sleep(CHECKED_AGAIN).await;
            let _ = timeout(self.next_check(checked), self.suspected.notified()).await;
        }
    }

    /// Returns the time until the next check: when the next suspect is due that was not at the last check.
    /// One that was and did not respond is probed with all others.
    fn next_check(&self, last: Instant) -> Duration {
        let due = self.servers.iter().filter_map(|server| server.health().due());
        let due = due.filter(|due| *due > last).min();
        due.map_or(CHECKED_EVERY, |due| due.saturating_duration_since(Instant::now()))
            .min(CHECKED_EVERY)
    }
}

/// Returns a stand-in backend, an address that encodes the index. Connections are made elsewhere, so that
/// Unix sockets and hosts with changing addresses are balanced too.
fn backend(index: usize) -> Option<Backend> {
    Backend::new(&format!("0.0.0.0:{}", index + 1)).ok()
}

fn index(backend: &Backend) -> Option<usize> {
    let name = backend.addr.as_inet()?;
    usize::from(name.port()).checked_sub(1)
}

struct HealthProbe(Arc<[Server]>);

#[async_trait]
impl HealthCheck for HealthProbe {
    async fn check(&self, backend: &Backend) -> pingora_error::Result<()> {
        let server = index(backend).and_then(|index| self.0.get(index));
        match server {
            None => Ok(()),
            Some(server) => server
                .check_health()
                .await
                .map_err(|error| Error::explain(ErrorType::ConnectError, error.to_string())),
        }
    }

    async fn health_status_change(&self, backend: &Backend, healthy: bool) {
        if let Some(server) = index(backend).and_then(|index| self.0.get(index)) {
            if healthy {
                tracing::info!(%server, "a server is there again");
            } else {
                tracing::warn!(%server, "a server takes no connections, or does not answer");
            }
        }
    }

    fn health_threshold(&self, _: bool) -> usize {
        1
    }
}

impl fmt::Debug for Balancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.servers.iter()).finish()
    }
}
