//! The upstream stage: sends a permitted request to a server and returns its response.
//!
//! An upstream has one server or several. Several are balanced, and unreachable ones are skipped. Connections
//! are pooled.

mod balance;
mod connect;
mod connection_limit;
mod early_response;
mod health;
mod health_check;
mod hedge;
mod http1_pool;
mod http2_pool;
mod idle_timeout;
mod incoming_body;
mod own_host;
mod request_body;
mod response_body;
mod response_framing;
mod server;
mod slots;
mod upload;
mod verifying_body;

use std::hash::Hash as _;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::authenticate::Lapse;
use crate::authorize::Permit;
use crate::certified_key::CertificateError;
use crate::config::{Balance, Config, UpstreamConfig, UpstreamTimeouts, UpstreamUrlError};
use crate::request::Network;
use crate::route::{RouteTarget, Routes, UpstreamId, UpstreamName};
use crate::trust_anchors::TrustAnchorError;
use crate::warning_limit::WarningLimit;
use balance::Balancer;
use connect::TlsSettings;
use health_check::HealthCheck;
use server::{SendOutcome, Server};
use slots::UpstreamSlots;

pub use connection_limit::ConnectionLimit;
pub use health::ServerState;
pub use idle_timeout::IdleTimeout;
pub use incoming_body::IncomingBody;
pub use request_body::{BodyError, BodyLimits, BodyProgress, RequestBody};
pub use response_body::ResponseBody;
pub use response_framing::ResponseFramingError;
pub use slots::ConnectionPermit;
pub use upload::{LINGER, Upload};

/// All upstreams of the routes, in the order of [`Routes::upstreams`].
#[derive(Debug)]
pub struct Upstreams(Vec<Upstream>);

/// One upstream.
#[derive(Debug)]
pub struct Upstream {
    name: String,
    balancer: Balancer,
    slots: Arc<UpstreamSlots>,
    limits: UpstreamLimits,
    warnings: WarningLimit,
}

/// A response, and the server that sent it.
#[derive(Debug)]
pub struct UpstreamResponse {
    /// The response.
    pub response: Response<ResponseBody>,
    /// The server, for the access log.
    pub server: Arc<str>,
    /// For status 101: the connection permit, to be held as long as the tunnel lasts.
    pub tunnel: Option<ConnectionPermit>,
}

/// Whether a server accepts connections.
#[derive(Debug)]
pub struct Reachability {
    /// The upstream.
    pub upstream: String,
    /// The server.
    pub server: String,
    /// Whether it accepts a connection, or why not.
    pub result: io::Result<()>,
}

/// An upstream and its servers, as they are at a moment.
#[derive(Clone, Debug)]
pub struct UpstreamStatus {
    /// The upstream.
    pub name: String,
    /// How its servers are chosen.
    pub balance: Balance,
    /// The most connections at one time.
    pub max_connections: usize,
    /// Its servers.
    pub servers: Vec<ServerStatus>,
}

/// A server of an upstream, as it is at a moment.
#[derive(Clone, Debug)]
pub struct ServerStatus {
    /// Its URL.
    pub url: String,
    /// Whether it gets requests.
    pub state: ServerState,
    /// Its share beside those of the others.
    pub weight: u16,
    /// Requests under way, tunnels and unfinished responses included.
    pub active_requests: usize,
}

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No server accepts a connection.
    #[error("{name} cannot be reached: {source}")]
    Unreachable {
        /// The upstream.
        name: String,
        /// The error of the last server that was tried.
        source: io::Error,
    },
    /// All `max_connections` are in use, and too many requests wait for one. Nothing was sent.
    #[error("{0} has as many connections as it may have (max_connections), and too many requests wait")]
    Busy(String),
    /// The response head did not arrive in time.
    #[error("{0} takes too long")]
    Timeout(String),
    /// The connection broke, or the response is malformed.
    #[error("{name} broke off: {source}")]
    Broken {
        /// The upstream.
        name: String,
        /// The cause.
        source: hyper::Error,
    },
    /// The response's length or transfer coding is ambiguous (RFC 9112, section 6.3).
    #[error("{name}: {source}")]
    Framing {
        /// The upstream.
        name: String,
        /// The cause.
        source: ResponseFramingError,
    },
    /// The credentials lapsed while the request waited.
    #[error(transparent)]
    Lapsed(#[from] Lapse),
    /// The client aborted the body, or stalled.
    #[error("the request's body broke off")]
    RequestBody,
}

/// Why an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamBuildError {
    /// A server's URL is invalid.
    #[error("upstream {name}: {source}")]
    Server {
        /// The upstream.
        name: String,
        /// The cause.
        source: UpstreamUrlError,
    },
    /// The upstream has no servers.
    #[error("upstream {0} has no servers")]
    NoServers(String),
    /// The trusted certificates cannot be read.
    #[error("{path} {error}", path = .path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: TrustAnchorError,
    },
    /// The client's certificate or its key cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The system has no trusted certificates.
    #[error("the system's authorities of certificates cannot be used: {0}")]
    SystemAuthorities(String),
}

/// Limits for all upstreams.
#[derive(Clone, Copy, Debug)]
struct UpstreamLimits {
    connect: Duration,
    response: Duration,
    idle: Duration,
    /// The largest request body in bytes; `None`: any.
    request_body: Option<u64>,
    /// Fields of a response head.
    header_fields: usize,
}

/// How a request is sent, where that is not as its upstream says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Whether each server is asked for its own host, whatever `Host` says.
    pub own_host: bool,
    /// How long the response head may take.
    pub response: Option<Duration>,
    /// How long a body may pause.
    pub idle: Option<Duration>,
}

impl Upstreams {
    /// Sets up the upstreams of the routes, which together open no more connections than `all` allows. Makes
    /// no connection yet.
    pub fn new(
        config: &Config,
        routes: &Routes,
        all: &Arc<ConnectionLimit>,
    ) -> Result<Self, UpstreamBuildError> {
        let mut tls = TlsSettings::default();
        let general = UpstreamLimits::from(config);
        let upstreams = routes.upstreams().iter().map(|upstream| {
            let (name, servers, settings) = match upstream {
                UpstreamName::Server(server) => (server.to_string(), vec![server.clone()], None),
                UpstreamName::Named(name) => {
                    let settings = config.upstream.get(name);
                    let servers = settings.map(UpstreamConfig::parsed_servers).transpose();
                    let servers = servers.map_err(|source| UpstreamBuildError::Server {
                        name: name.clone(),
                        source,
                    })?;
                    (name.clone(), servers.unwrap_or_default(), settings)
                }
            };
            let limits = settings.map_or(general, |settings| general.with(settings));
            let most = settings.map_or_else(
                || UpstreamConfig::default().max_connections,
                |settings| settings.max_connections,
            );
            let slots = Arc::new(UpstreamSlots::new(most, all.clone(), limits.connect));
            let check = Arc::new(HealthCheck::new(settings, limits.connect));
            let mut connected = Vec::new();
            for (index, server) in servers.iter().enumerate() {
                let transport = tls.transport(server, settings)?;
                let weight = settings.and_then(|settings| settings.weights.get(index));
                let weight = weight.copied().unwrap_or(1);
                connected.push(Server::new(
                    server,
                    transport,
                    limits,
                    weight,
                    slots.clone(),
                    check.clone(),
                ));
            }
            let balance = settings.map(|settings| settings.balance).unwrap_or_default();
            let balancer = Balancer::new(connected, balance, check.interval())
                .ok_or_else(|| UpstreamBuildError::NoServers(name.clone()))?;
            Ok(Upstream {
                name,
                balancer,
                slots,
                limits,
                warnings: WarningLimit::default(),
            })
        });
        upstreams.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the upstream of a route.
    pub fn of(&self, id: UpstreamId) -> Option<&Upstream> {
        self.0.get(id.index())
    }

    /// Whether two targets share a server, and so are one application under several names.
    pub fn is_one_application(&self, one: RouteTarget, other: RouteTarget) -> bool {
        let servers = |target| match target {
            RouteTarget::Demo | RouteTarget::Answer => &[],
            RouteTarget::Upstream(id) => self.of(id).map(|of| of.balancer.servers()).unwrap_or_default(),
        };
        let shares = |server: &Server| {
            let mut others = servers(other).iter();
            others.any(|other| other.server_address() == server.server_address())
        };
        one == other || servers(one).iter().any(shares)
    }

    /// Returns the state of all servers.
    pub fn status(&self) -> Vec<UpstreamStatus> {
        let status = |upstream: &Upstream| UpstreamStatus {
            name: upstream.name.clone(),
            balance: upstream.balancer.balance(),
            max_connections: upstream.slots.most(),
            servers: upstream.balancer.servers().iter().map(Server::status).collect(),
        };
        self.0.iter().map(status).collect()
    }

    /// Connects to each server as requests would, TLS included, within `limit`. Sends no request.
    pub async fn reach(&self, limit: Duration) -> Vec<Reachability> {
        let servers = self.0.iter().flat_map(|upstream| {
            let servers = upstream.balancer.servers().iter();
            servers.map(|server| (upstream.name.clone(), server))
        });
        let reached = servers.map(|(upstream, server)| async move {
            Reachability {
                upstream,
                server: server.name().to_string(),
                result: server.check_connection(limit).await,
            }
        });
        futures_util::future::join_all(reached).await
    }

    /// Runs the health checks of all upstreams until `stop`.
    pub async fn run_maintenance(&self, stop: CancellationToken) {
        let checks = self
            .0
            .iter()
            .map(|upstream| upstream.balancer.run_health_checks());
        let _ = stop
            .run_until_cancelled(futures_util::future::join_all(checks))
            .await;
    }
}

impl Upstream {
    /// Returns its name in the configuration, or the URL of its only server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how long bodies may pause.
    pub fn idle(&self) -> Duration {
        self.limits.idle
    }

    /// Returns the largest request body in bytes; `None`: any.
    pub fn request_body(&self) -> Option<u64> {
        self.limits.request_body
    }

    /// Returns the hosts and ports of its servers, as values of `Host`.
    pub fn authorities(&self) -> impl Iterator<Item = &HeaderValue> {
        self.balancer.servers().iter().map(Server::authority)
    }

    /// Returns the URLs of its servers.
    pub fn servers(&self) -> Vec<String> {
        let servers = self.balancer.servers().iter();
        servers.map(|server| server.name().to_string()).collect()
    }

    /// Sends a request. The permit proves that policy admits it, and is checked again after every wait.
    ///
    /// An unreachable server is skipped while there is another, since nothing was sent to it. One that times
    /// out or breaks off is left out for a while and until it responds to a probe, while there is another. A
    /// request that reached a server is sent again only if it has no body and a safe method (RFC 9110,
    /// section 9.2.2): after a reused connection turned out to be closed, or to another server if the first
    /// responds neither to it nor to a probe.
    ///
    /// At the connection limit the request waits for a short time; each `client` has a share of the queue.
    pub async fn send(
        &self,
        permit: &Permit,
        client: IpAddr,
        request: Request<RequestBody>,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let mut request = request;
        let is_patient = server::options_of(&request)
            .response
            .is_none_or(|limit| limit >= self.limits.response);
        let progress = request.body().progress();
        let taken = self.slots.take(client).await;
        let (connection, turn) = taken.map_err(|_| UpstreamError::Busy(self.name.clone()))?;
        let mut connection = Some(connection);
        // One address has the same server, as has one session.
        let mut selection = self.balancer.begin(|hasher| match permit.session() {
            Some(session) => session.id().hash(hasher),
            None => Network::from(client).hash(hasher),
        });
        let mut sending = hedge::HedgedSender::new(self, permit, client, is_patient);
        let mut last = io::Error::from(io::ErrorKind::NotConnected);
        while let Some(server) = self.balancer.next(&mut selection) {
            permit.require_current()?;
            if let Some(connection) = &mut connection {
                connection.count(server.begin());
            }
            let (server, attempted) = sending
                .send(server, request, &mut selection, &mut connection)
                .await;
            match attempted {
                SendOutcome::Responded(mut response) => {
                    let settled = response_framing::settle(response.status(), response.headers_mut());
                    settled.map_err(|source| UpstreamError::Framing {
                        name: self.name.clone(),
                        source,
                    })?;
                    drop(turn);
                    let tunnel = connection.take_if(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS);
                    response.body_mut().hold(connection);
                    response.body_mut().watch(self.balancer.suspicion(server));
                    return Ok(UpstreamResponse {
                        response,
                        server: server.name().clone(),
                        tunnel: tunnel.map(|permit| self.slots.keep_open(permit)),
                    });
                }
                SendOutcome::Unreachable(error, unsent) => {
                    if let Some(unlogged) = self.warnings.admit() {
                        tracing::warn!(upstream = self.name, %server, %error, unlogged, "a server cannot be reached");
                    }
                    last = error;
                    request = unsent;
                }
                SendOutcome::TimedOut => {
                    // One may be slow for a route that waits for less.
                    if is_patient {
                        self.suspect(server, "timeout");
                    }
                    return Err(UpstreamError::Timeout(self.name.clone()));
                }
                SendOutcome::BodyFailed => return Err(UpstreamError::RequestBody),
                SendOutcome::Broken(source) => {
                    // A server may hang up on a client that does not send its whole body.
                    if progress.is_none_or(|progress| progress.finished().is_some()) {
                        self.suspect(server, "broken answer");
                    }
                    return Err(UpstreamError::Broken {
                        name: self.name.clone(),
                        source,
                    });
                }
            }
        }
        Err(UpstreamError::Unreachable {
            name: self.name.clone(),
            source: last,
        })
    }

    fn suspect(&self, server: &Server, reason: &str) {
        if let Some(suspicion) = self.balancer.suspicion(server) {
            suspicion.raise(reason);
        }
    }
}

impl UpstreamLimits {
    /// With what an upstream has instead.
    fn with(self, settings: &UpstreamConfig) -> Self {
        let UpstreamTimeouts {
            connect,
            response,
            idle,
        } = settings.timeouts;
        Self {
            connect: connect.map_or(self.connect, |connect| connect.0),
            response: response.map_or(self.response, |response| response.0),
            idle: idle.map_or(self.idle, |idle| idle.0),
            request_body: settings
                .limits
                .request_body
                .map(|most| most.0)
                .or(self.request_body),
            ..self
        }
    }

    /// With what a request has instead.
    fn for_request(self, options: SendOptions) -> Self {
        Self {
            response: options.response.unwrap_or(self.response),
            idle: options.idle.unwrap_or(self.idle),
            ..self
        }
    }
}

impl From<&Config> for UpstreamLimits {
    fn from(config: &Config) -> Self {
        Self {
            connect: config.timeouts.connect.0,
            response: config.timeouts.response.0,
            idle: config.timeouts.idle.0,
            request_body: config.limits.request_body.map(|most| most.0),
            header_fields: config.limits.header_fields,
        }
    }
}
