//! The composition root: builds the gateway from the configuration and runs it.

mod check;
mod explain;
mod reload;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::clock::Clock;
use crate::config::{Config, PlainAddress, UpstreamConfig, UpstreamTarget};
use crate::control::health::{HealthServer, Readiness};
use crate::control::socket::{AdministratorSocket, BindError};
use crate::control::{Administration, OpenError};
use crate::descriptors::DescriptorBudget;
use crate::listener::{ListenError, Listener, ListenerTls, TlsError};
use crate::log_file::Reopening;
use crate::metrics::{Counter, Metrics, ServerGauges};
use crate::proxy::{CompressionBudget, Gateway, GatewayError, GatewayHandle, RequestHistory, SharedState};
use crate::random::Random;
use crate::route::{RouteError, Routes};
use crate::services::{Actor, Services, ServicesError};
use crate::upstream::{ConnectionLimit, ServerState, ServerStatus};

pub use check::{CheckFinding, CheckReport, check};
pub use explain::{ExplainReport, RefusalReport, RefusedRequest, explain_offline};
pub use reload::{ConfigSource, ReloadError, RunningGateway};

/// What the application takes from the process.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Reloads the configuration.
    pub source: ConfigSource,
    /// The limit of open file descriptors.
    pub descriptors: usize,
    /// Counts log messages that could not be written.
    pub lost_messages: Arc<Counter>,
}

/// The gateway, bound and ready to run.
#[derive(Debug)]
pub struct Application {
    public_url: Url,
    serving: Arc<RunningGateway>,
    socket: AdministratorSocket,
    listener: Listener,
    ops: Option<HealthServer>,
    readiness: Readiness,
    stop: CancellationToken,
}

/// What is built from the configuration alone, and replaced by a reload.
#[derive(Debug)]
struct Generation {
    tls: ListenerTls,
    gateway: Gateway,
}

/// The bound addresses.
#[derive(Clone, Debug)]
struct Addresses {
    https: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    plain: Vec<String>,
    ops: Option<SocketAddr>,
}

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The admin socket could not be bound.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// The store could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The services could not be built.
    #[error(transparent)]
    Services(#[from] ServicesError),
    /// An address could not be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// TLS could not be configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// `listen.ops` is invalid, or could not be bound.
    #[error("listen.ops {0:?}: {1}")]
    Ops(String, std::io::Error),
    /// A route is invalid.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The gateway could not be built.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// `public_url` has no host.
    #[error("public_url has no host")]
    NoHost,
}

impl Application {
    /// Opens and binds everything; serves nothing yet.
    pub async fn build(mut config: Config, environment: Environment) -> Result<Self, BuildError> {
        let Environment {
            clock,
            random,
            source,
            descriptors,
            lost_messages,
        } = environment;
        let stop = CancellationToken::new();
        // The admin socket first: a second gateway is then reported as such, not as a locked store.
        let socket = AdministratorSocket::bind(&config.listen.admin_socket)?;
        let metrics = Arc::new(Metrics {
            messages_lost: lost_messages,
            ..Metrics::default()
        });
        let shares = share_out(descriptors, &config);
        let mut bound = config.clone();
        bound.limits.connections = shares.clients;
        let bound = Listener::bind(&bound, &clock, &random, metrics.clone())?;
        let readiness = Readiness::default();
        let ops = bind_ops(&config, &readiness, metrics.clone(), &clock).await?;
        if let (Some(0), Some(address)) = (config.public_url.port(), bound.addresses().first()) {
            config
                .public_url
                .set_port(Some(address.port()))
                .map_err(|()| BuildError::NoHost)?;
        }
        let store = crate::control::open_store(&config.store, clock.clone()).await?;
        readiness.depend_on(store.clone());
        let services = Services::new(
            &config,
            store.clone(),
            clock.clone(),
            random.clone(),
            metrics.clone(),
        )
        .await?;
        let administration = Administration::new(services.clone(), store, clock.clone());
        let now = clock.now();
        let surroundings = SharedState {
            clock,
            random,
            metrics,
            history: Arc::new(RequestHistory::since(now)),
            tunnels: TaskTracker::new(),
            compression: CompressionBudget::default(),
            upstream_connections: Arc::new(ConnectionLimit::new(shares.upstreams)),
            reopening: Reopening::default(),
            stop: stop.clone(),
        };
        let Generation { tls, gateway } = Generation::new(&config, &services, surroundings.clone())?;
        // Last: from here on connections are accepted.
        let listener = bound.listen()?;
        Ok(Self {
            public_url: config.public_url.clone(),
            serving: Arc::new(RunningGateway {
                source,
                store: config.store.location().ok(),
                config: Mutex::new(config),
                shared: surroundings,
                addresses: Addresses {
                    https: listener.addresses().to_vec(),
                    http: listener.http_addresses().to_vec(),
                    plain: listener
                        .plain_addresses()
                        .iter()
                        .map(ToString::to_string)
                        .collect(),
                    ops: ops.as_ref().and_then(|ops| ops.address().ok()),
                },
                gate: listener.gate(),
                tls,
                gateway: Arc::new(GatewayHandle::new(gateway)),
                administration: ArcSwap::from_pointee(administration),
            }),
            socket,
            listener,
            ops,
            readiness,
            stop,
        })
    }

    /// The URL that users open.
    pub fn public_url(&self) -> &Url {
        &self.public_url
    }

    /// The bound HTTPS addresses.
    pub fn https_addresses(&self) -> &[SocketAddr] {
        self.listener.addresses()
    }

    /// Where proxies that ended TLS ask.
    pub fn plain_addresses(&self) -> &[PlainAddress] {
        self.listener.plain_addresses()
    }

    /// The address of `/livez`, `/readyz` and `/metrics`, unless they are off.
    pub fn ops_address(&self) -> Option<SocketAddr> {
        self.ops.as_ref().and_then(|ops| ops.address().ok())
    }

    /// The running gateway, for reloads.
    pub fn serving(&self) -> &Arc<RunningGateway> {
        &self.serving
    }

    /// The services, as of the last reload.
    pub fn services(&self) -> Services {
        self.serving.administration.load().services().clone()
    }

    /// Serves until `stop`, then drains.
    pub async fn run(self, stop: CancellationToken) -> Result<(), std::io::Error> {
        let services = self.services();
        let (serving, gateway) = (self.serving.clone(), self.serving.gateway.clone());
        let execute = move |command, by: Actor| {
            let serving = serving.clone();
            async move { serving.execute(command, &by).await }
        };
        let serve = move |accepted| gateway.clone().serve_connection(accepted);
        let told = {
            let (all, readiness) = (self.stop.clone(), self.readiness.clone());
            async move {
                stop.cancelled().await;
                readiness.set(false);
                all.cancel();
            }
        };
        // Maintenance goes on until the last request is over, so that its use is stored.
        let drained = CancellationToken::new();
        let front = async {
            tokio::join!(
                self.socket.serve(execute, self.stop.clone()),
                self.listener
                    .run(self.serving.tls.clone(), serve, self.stop.clone()),
                self.serving.gateway.run_maintenance(),
            );
            drained.cancel();
        };
        // Probes are served until then too: a draining gateway is live, and reports that it is not ready.
        let ops = async {
            if let Some(ops) = self.ops {
                let gateway = self.serving.gateway.clone();
                ops.run(move || gauges(&gateway.load()), drained.clone()).await;
            }
        };
        self.readiness.set(true);
        tokio::join!(
            told,
            front,
            ops,
            services.sessions.run_maintenance(drained.clone()),
            services.access_keys.run_maintenance(drained.clone()),
            services.revocations.run_maintenance(drained.clone()),
            services.end_when_superseded(drained.clone()),
            services.mailer.deliver(drained.clone()),
        );
        services.audit.stop().await;
        Ok(())
    }
}

impl Generation {
    /// Blocks on files.
    fn new(config: &Config, services: &Services, surroundings: SharedState) -> Result<Self, BuildError> {
        let routes = Routes::new(config, config.public_host().ok_or(BuildError::NoHost)?)?;
        let tls = ListenerTls::load(config, &config.certs(), &routes.hosts(), &surroundings.clock)?;
        let gateway = Gateway::new(config, routes, services.clone(), tls.is_real(), surroundings)?;
        Ok(Self { tls, gateway })
    }
}

/// Divides the file descriptors between clients and upstreams; logs a warning if they do not suffice.
fn share_out(descriptors: usize, config: &Config) -> DescriptorBudget {
    let clients = config.limits.connections;
    let applications = upstream_connections(config);
    let shares = DescriptorBudget::of(descriptors, clients, applications);
    if shares.clients < clients || shares.upstreams < applications {
        tracing::warn!(
            descriptors,
            clients = shares.clients,
            applications = shares.upstreams,
            "the limit of open files is too low for {clients} connections of clients (limits.connections) and {applications} to applications (max_connections): {} and {} are served at one time; raise the hard limit (LimitNOFILE, ulimit -Hn)",
            shares.clients,
            shares.upstreams,
        );
    }
    shares
}

/// The most connections that all upstreams together may have.
fn upstream_connections(config: &Config) -> usize {
    let targets: BTreeSet<_> = config.route.iter().map(|route| route.upstream.as_str()).collect();
    let most = targets
        .into_iter()
        .map(|target| match UpstreamTarget::parse(target) {
            Ok(UpstreamTarget::Named(name)) => config
                .upstream
                .get(name)
                .map_or(0, |upstream| upstream.max_connections),
            Ok(UpstreamTarget::Server(_)) => UpstreamConfig::default().max_connections,
            Ok(UpstreamTarget::Demo) | Err(_) => 0,
        });
    most.fold(0, usize::saturating_add)
}

/// Returns the servers of all applications, as the metrics show them.
fn gauges(gateway: &Gateway) -> Vec<ServerGauges> {
    let all = gateway.upstreams().status().into_iter().flat_map(|upstream| {
        let gauges = move |server: ServerStatus| ServerGauges {
            upstream: upstream.name.clone(),
            server: server.url,
            is_up: matches!(server.state, ServerState::Up | ServerState::Starting),
            active_requests: server.active_requests,
        };
        upstream.servers.into_iter().map(gauges)
    });
    all.collect()
}

async fn bind_ops(
    config: &Config,
    readiness: &Readiness,
    metrics: Arc<Metrics>,
    clock: &Clock,
) -> Result<Option<HealthServer>, BuildError> {
    let failed = |error| BuildError::Ops(config.listen.ops.clone(), error);
    let address = config.listen.ops_address();
    let Some(address) = address.map_err(|error| failed(std::io::Error::other(error)))? else {
        return Ok(None);
    };
    let bound = HealthServer::bind(address, readiness.clone(), metrics, clock.clone());
    bound.await.map(Some).map_err(failed)
}
