//! The request's path: a connection's requests, each through route, authenticate, authorize, identity and upstream.
//!
//! `admit` is the path up to a permit; `handle` is one request from its head to its answer; `forward` is the way
//! to an application and back; `explain` says what all of that would do.

mod access_log;
mod admit;
mod body_buffer;
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
mod if_header;
mod library_errors;
mod limited_io;
mod method_override;
mod pace;
mod portal_call;
mod request_history;
mod response_body;
mod second_resource;
mod source_readings;
mod target_host;
mod websocket;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderValue;
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
use second_resource::UrlSchemes;

pub use access_log::{LoggedRequest, find_request};
pub use connection::HandshakeInfo;
pub use explain::{
    Caller, ExplainError, ExplainRequest, ExplainedOutcome, Explanation, ForwardedRequest, ResponseSummary,
    RouteView, ShadowedRouteView,
};
pub use gateway_handle::GatewayHandle;
pub use request_history::{RecentRequest, RequestHistory};

/// A year, in seconds (RFC 6797).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Everything between a connection and an application.
#[derive(Debug)]
pub struct Gateway {
    routes: Routes,
    authenticator: Authenticator,
    identity: Identity,
    upstreams: Upstreams,
    url_schemes: UrlSchemes,
    portal: Portal,
    services: Services,
    metrics: Arc<Metrics>,
    access_log: Option<AccessLog>,
    history: Arc<RequestHistory>,
    clock: Clock,
    ids: RequestIds,
    trusted: Vec<IpNet>,
    /// The port of `public_url`.
    public_port: u16,
    /// `admin.group`
    administrators: String,
    real_certificate: bool,
    /// Bytes of a form.
    form_body: usize,
    /// Bodies of signed requests that are read before they are judged.
    forms: BodyBufferPool,
    signed_bodies: BodyBufferPool,
    /// Bytes of a request's head.
    request_head: usize,
    /// Fields of a request's head.
    header_fields: usize,
    timeouts: Timeouts,
    /// Of requests that fail.
    warnings: WarningLimit,
    tunnels: TaskTracker,
    stop: CancellationToken,
    /// Another gateway has taken this one's place, or all is to stop.
    retired: CancellationToken,
    /// That one.
    successor: OnceLock<Arc<Gateway>>,
}

/// What the stages share with the rest of the application.
#[derive(Clone, Debug)]
pub struct SharedState {
    /// Time, for the access log.
    pub clock: Clock,
    /// Randomness, for the names of requests.
    pub random: Random,
    /// Where answers are counted.
    pub metrics: Arc<Metrics>,
    /// What was answered of late, by all gateways of which one takes the place of another.
    pub history: Arc<RequestHistory>,
    /// The tunnels through all gateways, of which one takes the place of another.
    pub tunnels: TaskTracker,
    /// The connections to all applications, through all gateways of which one takes the place of another.
    pub upstream_connections: Arc<ConnectionLimit>,
    /// Has the access log opened again, by whichever gateway writes to it.
    pub reopening: Reopening,
    /// Ends connections once their requests are answered, and tunnels once their ends agree.
    pub stop: CancellationToken,
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Identity headers cannot be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Applications cannot be set up.
    #[error(transparent)]
    Upstream(#[from] UpstreamBuildError),
    /// The pages cannot be made.
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
    /// Puts the stages together. `routes` were made from the same configuration; `real_certificate` says whether
    /// browsers trust the certificate by themselves.
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
        let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let form_body = bytes(config.limits.form_body.0);
        // hyper reads no less at a time.
        let request_head = bytes(config.limits.request_head.0).max(8 << 10);
        Ok(Self {
            authenticator: Authenticator::new(&config.login, &services, &shared.clock),
            identity: Identity::new(config, &routes)?,
            upstreams: Upstreams::new(config, &routes, &shared.upstream_connections)?,
            url_schemes: UrlSchemes::new(config, &routes),
            portal: Portal::new(config, services.clone(), routes.host_patterns().to_vec())?,
            access_log: access_log
                .map_err(|error| GatewayError::AccessLog(config.log.access_file.clone(), error))?,
            ids: RequestIds::new(&shared.random),
            trusted: config.listen.trusted_proxies.clone(),
            public_port: config.public_url.port_or_known_default().unwrap_or(443),
            administrators: config.admin.group.clone(),
            form_body,
            forms: BodyBufferPool::new(portal_call::most(form_body, request_head), "forms"),
            signed_bodies: BodyBufferPool::new(bytes(config.limits.signed_body_buffer.0), "signed bodies"),
            request_head,
            header_fields: config.limits.header_fields,
            timeouts: Timeouts::from(&config.timeouts),
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
    /// Whether the stages between a request and its application can be made. `routes` were made from the same
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
