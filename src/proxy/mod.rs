//! The request path: each request of a connection goes through route, authenticate, authorize, identity and
//! upstream.
//!
//! `admit` decides and issues the permit, `handle` takes a request from head to response, `forward` exchanges
//! it with the upstream, `explain` reports what all of them would do.

mod access_log;
mod admit;
mod archive;
mod body_buffer;
mod compressed_body;
mod compression;
mod connection;
mod connection_info;
mod connection_state;
mod copy_source;
mod explain;
mod forward;
mod forwarded;
mod framing;
mod gateway_handle;
mod h2_flood;
mod handle;
mod head_inspector;
mod hop_by_hop;
mod hsts;
mod if_header;
mod library_errors;
mod limited_io;
mod memory_budget;
mod method_override;
mod pace;
mod past_requests;
mod portal_call;
mod request_history;
mod request_rates;
mod response_body;
mod second_resource;
mod second_resource_error;
mod server_functions;
mod source_readings;
mod target_host;
mod upload_names;
mod upstream_paths;
mod url_schemes;
mod websocket;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authenticate::Authenticator;
use crate::clock::Clock;
use crate::config::{Config, TimeoutsConfig};
use crate::identity::{Identity, IdentityError};
use crate::log_file::Reopening;
use crate::metrics::Metrics;
use crate::portal::{Portal, PortalError};
use crate::random::Random;
use crate::request::RequestIds;
use crate::route::Routes;
use crate::services::Services;
use crate::upstream::{ConnectionLimit, UpstreamBuildError, Upstreams};
use crate::warning_limit::WarningLimit;
use access_log::AccessLog;
use body_buffer::BodyBufferPool;
use past_requests::PastRequests;
use request_rates::RequestRates;
use upstream_paths::UpstreamPrefixes;
use url_schemes::UrlSchemes;

pub use access_log::find_refusals;
pub use compression::CompressionBudget;
pub use connection::HandshakeInfo;
pub use explain::{
    Caller, ExplainError, ExplainRequest, ExplainedOutcome, Explanation, ForwardedRequest, ResponseSummary,
    RouteView, ShadowedRouteView,
};
pub use gateway_handle::GatewayHandle;
pub use past_requests::{find_past_request, search_access_log};
pub use request_history::RequestHistory;

/// The stages and their shared state; one value per configuration, replaced by a reload.
#[derive(Debug)]
pub struct Gateway {
    routes: Routes,
    authenticator: Authenticator,
    identity: Identity,
    upstreams: Upstreams,
    url_schemes: UrlSchemes,
    upstream_prefixes: UpstreamPrefixes,
    portal: Portal,
    services: Services,
    metrics: Arc<Metrics>,
    access_log: Option<AccessLog>,
    history: Arc<RequestHistory>,
    clock: Clock,
    ids: RequestIds,
    random: Random,
    trusted: Vec<IpNet>,
    public_port: u16,
    /// `admin.group`
    administrators: String,
    real_certificate: bool,
    /// Bytes of a form.
    form_body: usize,
    forms: BodyBufferPool,
    /// Buffers for signed bodies, which are read before they are verified.
    signed_bodies: BodyBufferPool,
    /// Bytes of a request head.
    request_head: usize,
    /// Fields of a request head.
    header_fields: usize,
    compression: CompressionBudget,
    timeouts: Timeouts,
    request_rates: RequestRates,
    /// Limits the warnings about refused requests.
    warnings: WarningLimit,
    tunnels: TaskTracker,
    stop: CancellationToken,
    /// Cancelled when another gateway replaces this one, or when the process stops.
    retired: CancellationToken,
    /// The gateway that replaced this one.
    successor: OnceLock<Arc<Gateway>>,
}

/// State that outlives a reload, shared by all gateways of the process.
#[derive(Clone, Debug)]
pub struct SharedState {
    /// The clock.
    pub clock: Clock,
    /// Randomness, for request ids and the keys of handshakes.
    pub random: Random,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Recent refusals and page responses.
    pub history: Arc<RequestHistory>,
    /// The open tunnels, and the acts that outlast their connections.
    pub tunnels: TaskTracker,
    /// The limit of upstream connections.
    pub upstream_connections: Arc<ConnectionLimit>,
    /// The memory for compressing responses.
    pub compression: CompressionBudget,
    /// Signals that the access log is to be reopened.
    pub reopening: Reopening,
    /// Ends connections once their requests are done, and tunnels after a closing handshake.
    pub stop: CancellationToken,
}

/// Why a gateway cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The identity headers are not possible.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An upstream cannot be set up.
    #[error(transparent)]
    Upstream(#[from] UpstreamBuildError),
    /// The pages cannot be built.
    #[error(transparent)]
    Portal(#[from] PortalError),
    /// The access log cannot be opened.
    #[error("log.access_file: {path} cannot be opened: {error}", path = .0.display(), error = .1)]
    AccessLog(PathBuf, io::Error),
}

#[derive(Clone, Copy, Debug)]
struct Timeouts {
    header: Duration,
    keep_alive: Duration,
    idle: Duration,
    drain: Duration,
}

impl Gateway {
    /// Builds the stages. `routes` must come from the same configuration; `real_certificate` says whether
    /// browsers trust the certificate without further setup.
    pub fn new(
        config: &Config,
        routes: Routes,
        services: Services,
        real_certificate: bool,
        shared: SharedState,
    ) -> Result<Self, GatewayError> {
        let access_log = AccessLog::open(
            &config.log,
            shared.clock.clone(),
            &shared.metrics,
            shared.reopening,
        );
        let past_requests = Arc::new(PastRequests {
            history: shared.history.clone(),
            log: config.log.clone(),
            audit: services.audit.clone(),
        });
        let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let form_body = bytes(config.limits.form_body.0);
        // hyper's smallest read buffer is 8 KiB.
        let request_head = bytes(config.limits.request_head.0).max(8 << 10);
        let upstreams = Upstreams::new(config, &routes, &shared.upstream_connections)?;
        Ok(Self {
            authenticator: Authenticator::new(&config.login, &services, &shared.clock),
            identity: Identity::new(config, &routes)?,
            upstream_prefixes: UpstreamPrefixes::new(&routes, &upstreams),
            upstreams,
            url_schemes: UrlSchemes::new(config, &routes),
            portal: Portal::new(
                config,
                services.clone(),
                routes.host_patterns().to_vec(),
                past_requests,
            )?,
            access_log: access_log
                .map_err(|error| GatewayError::AccessLog(config.log.access_file.clone(), error))?,
            ids: RequestIds::new(&shared.random),
            random: shared.random,
            trusted: config.listen.trusted_proxies.clone(),
            public_port: config.public_url.port_or_known_default().unwrap_or(443),
            administrators: config.admin.group.clone(),
            form_body,
            forms: BodyBufferPool::new(portal_call::most(form_body, request_head), "forms"),
            signed_bodies: BodyBufferPool::new(bytes(config.limits.signed_body_buffer.0), "signed bodies"),
            request_head,
            header_fields: config.limits.header_fields,
            compression: shared.compression,
            timeouts: Timeouts::from(&config.timeouts),
            request_rates: RequestRates::new(
                config.limits.address_rate,
                config.limits.user_rate,
                shared.clock.clone(),
            ),
            warnings: WarningLimit::default(),
            tunnels: shared.tunnels,
            history: shared.history,
            metrics: shared.metrics,
            clock: shared.clock,
            real_certificate,
            retired: shared.stop.child_token(),
            successor: OnceLock::new(),
            stop: shared.stop,
            routes,
            services,
        })
    }
}

impl Gateway {
    /// Returns the upstreams of its routes.
    pub fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    /// Checks that the identity and upstream stages can be built. `routes` must come from the same
    /// configuration.
    pub fn check(config: &Config, routes: &Routes) -> Result<(), GatewayError> {
        Identity::new(config, routes)?;
        Upstreams::new(config, routes, &Arc::default())?;
        Ok(())
    }
}

impl From<&TimeoutsConfig> for Timeouts {
    fn from(timeouts: &TimeoutsConfig) -> Self {
        Self {
            header: timeouts.header.0,
            keep_alive: timeouts.keep_alive.0,
            idle: timeouts.idle.0,
            drain: timeouts.drain.0,
        }
    }
}
