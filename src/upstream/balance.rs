//! Which of several servers is asked.

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

/// How often servers are asked whether they take connections.
const CHECKED_EVERY: Duration = Duration::from_secs(5);

/// How soon after a check there may be another one, for a server that came under suspicion.
const CHECKED_AGAIN: Duration = Duration::from_millis(500);

/// The servers of an application.
pub(super) struct Balancer {
    servers: Arc<[Server]>,
    /// `None` for a single server, which is asked whatever is known of it.
    rounds: Option<LoadBalancer<RoundRobin>>,
    /// Has the servers checked before it is time.
    suspected: Arc<Notify>,
    /// Of servers that came under suspicion.
    warnings: Arc<WarningLimit>,
}

/// Brings a server under suspicion, now or when its answer breaks off, or says that the answer is whole.
#[derive(Debug)]
pub(super) struct Suspicion {
    health: Arc<Health>,
    checks: Arc<Notify>,
    warnings: Arc<WarningLimit>,
    server: Arc<str>,
}

impl Suspicion {
    /// Has the others asked for a while, and until the server answers a probe.
    pub(super) fn raise(self, reason: &str) {
        if let Some(left_out) = self.health.fail() {
            self.checks.notify_one();
            if let Some(unlogged) = self.warnings.admit() {
                let server = self.server;
                tracing::warn!(%server, reason, ?left_out, unlogged, "others are asked until a server answers a probe");
            }
        }
    }

    /// The answer came to its end.
    pub(super) fn dismiss(self) {
        self.health.answer();
    }
}

/// The servers that a request was already tried at.
#[derive(Debug, Default)]
pub(super) struct TriedServers(Vec<usize>);

impl Balancer {
    /// Balances these servers; `None` if there are none.
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

    /// All of them.
    pub(super) fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Whether there is more than one.
    pub(super) fn has_several(&self) -> bool {
        self.rounds.is_some()
    }

    /// What brings a server under suspicion; none for a single one, which is asked whatever is known of it.
    pub(super) fn suspicion(&self, server: &Server) -> Option<Suspicion> {
        self.rounds.as_ref()?;
        Some(Suspicion {
            health: server.health().clone(),
            checks: self.suspected.clone(),
            warnings: self.warnings.clone(),
            server: server.name().clone(),
        })
    }

    /// The next server to try: one in turn that takes connections and answered the last time; when none of those is
    /// left, one that takes connections, and then any other.
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

    /// The same, and none but a server that takes connections and answered the last time.
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
        let answers = |index: usize| {
            self.servers
                .get(index)
                .is_some_and(|server| !server.health().is_suspect())
        };
        let accepts = |backend: &Backend, is_ready: bool| {
            let index = index(backend).filter(|index| !tried.0.contains(index));
            is_ready && index.is_some_and(|index| takes_suspects || answers(index))
        };
        let selected = rounds.select_with(b"", 2 * self.servers.len(), accepts);
        selected.and_then(|backend| index(&backend))
    }

    /// Checks the servers now and then, and as soon as one comes under suspicion or may be let back in, for ever.
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

    /// How long after the last check there is another one: as soon as a suspect is due that was not then. One that was,
    /// and answered no probe, is asked for one with all the others.
    fn next_check(&self, last: Instant) -> Duration {
        let due = self.servers.iter().filter_map(|server| server.health().due());
        let due = due.filter(|due| *due > last).min();
        due.map_or(CHECKED_EVERY, |due| due.saturating_duration_since(Instant::now()))
            .min(CHECKED_EVERY)
    }
}

/// A server as the balancer knows it: a name of its own, by which it is found again. Connections are made elsewhere,
/// so that sockets of this machine and hosts with changing addresses are balanced too.
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
                .probe()
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
