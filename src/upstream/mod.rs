//! The applications: from a permit to an answer.

mod connect;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::authorize::Permit;
use crate::config::{Config, Server};
use crate::refusal::{Problem, Refusal};
use crate::route::Destination;
use connect::Connector;

/// How long an idle connection is kept: shorter than what applications commonly keep theirs.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// Why the upstreams cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("upstream {0}: {1}")]
pub struct UpstreamError(String, String);

/// All upstreams.
#[derive(Debug)]
pub struct Upstreams {
    by_name: HashMap<String, Upstream>,
    response: Duration,
}

#[derive(Debug)]
struct Upstream {
    servers: Vec<Peer>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Peer {
    client: Client<Connector, Incoming>,
    authority: Authority,
    scheme: Scheme,
}

impl Upstreams {
    /// Those that a configuration describes.
    pub fn new(config: &Config) -> Result<Self, UpstreamError> {
        let mut by_name = HashMap::new();
        let connect = config.timeouts.connect.0;
        for (name, upstream) in &config.upstream {
            let failed = |error: &dyn ToString| UpstreamError(name.clone(), error.to_string());
            let servers = upstream.parsed_servers().map_err(|error| failed(&error))?;
            let roots = connect::roots(upstream.ca.as_deref()).map_err(|error| failed(&error))?;
            by_name.insert(
                name.clone(),
                Upstream::new(&servers, &roots, connect).map_err(|error| failed(&error))?,
            );
        }
        for route in &config.route {
            if let Ok(crate::config::Target::Server(server)) = route.target() {
                let name = &route.upstream;
                let failed = |error: &dyn ToString| UpstreamError(name.clone(), error.to_string());
                let roots = connect::roots(None).map_err(|error| failed(&error))?;
                by_name.insert(
                    name.clone(),
                    Upstream::new(&[server], &roots, connect).map_err(|error| failed(&error))?,
                );
            }
        }
        Ok(Self {
            by_name,
            response: config.timeouts.response.0,
        })
    }

    /// Sends an admitted request on; the head of the answer, or why there is none.
    pub async fn send(
        &self,
        permit: &Permit,
        mut request: Request<Incoming>,
    ) -> Result<Response<Incoming>, Refusal> {
        let Destination::Upstream(name) = &permit.route().destination else {
            return Err(Refusal::because(Problem::Unavailable, "the demo is no upstream"));
        };
        let peer = self
            .by_name
            .get(name)
            .and_then(Upstream::pick)
            .ok_or_else(|| Refusal::because(Problem::Unavailable, "an upstream without a server"))?;
        let target = request.uri().path_and_query().cloned();
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(peer.scheme.clone());
        parts.authority = Some(peer.authority.clone());
        parts.path_and_query = Some(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
        *request.uri_mut() = Uri::from_parts(parts)
            .map_err(|error| Refusal::because(Problem::BadRequest, error.to_string()))?;
        match tokio::time::timeout(self.response, peer.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Refusal::because(
                Problem::UpstreamUnreachable,
                format!("{name}: {error:?}"),
            )),
            Err(_) => Err(Refusal::because(
                Problem::UpstreamTimeout,
                format!("{name} did not answer in time"),
            )),
        }
    }
}

impl Upstream {
    fn new(servers: &[Server], roots: &rustls::ClientConfig, connect: Duration) -> Result<Self, http::Error> {
        let servers = servers
            .iter()
            .map(|server| {
                let (scheme, authority) = match server {
                    Server::Http(endpoint) | Server::H2c(endpoint) => (Scheme::HTTP, endpoint.to_string()),
                    Server::Https(endpoint) => (Scheme::HTTPS, endpoint.to_string()),
                    Server::Unix(_) => (Scheme::HTTP, "localhost".to_owned()),
                };
                let client = Client::builder(TokioExecutor::new())
                    .pool_idle_timeout(POOL_IDLE)
                    .pool_timer(TokioTimer::new())
                    .timer(TokioTimer::new())
                    .retry_canceled_requests(true)
                    .set_host(false)
                    .http2_only(matches!(server, Server::H2c(_)))
                    .build(Connector::new(server.clone(), roots.clone(), connect));
                Ok(Peer {
                    client,
                    authority: authority.parse::<Authority>()?,
                    scheme,
                })
            })
            .collect::<Result<_, http::Error>>()?;
        Ok(Self {
            servers,
            next: AtomicUsize::new(0),
        })
    }

    /// The next server in turn.
    fn pick(&self) -> Option<&Peer> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.servers.get(turn.checked_rem(self.servers.len())?)
    }
}
