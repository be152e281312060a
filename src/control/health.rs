//! The ops listener: `/livez`, `/readyz` and `/metrics`, on an address of its own (S50).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, DATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::metrics::{Metrics, ServerGauges};
use crate::store::{Store, StoreError};

/// The most concurrent connections: probes and scrapers are few.
const CONNECTIONS: usize = 64;

/// The time limit for the head of a request, and for idle connections.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// The pause after a failure to accept.
const PAUSE: Duration = Duration::from_millis(100);

const PLAIN: &str = "text/plain; charset=utf-8";
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether the gateway serves requests: not while it starts and drains, and never again once another process has used
/// its store.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<ReadinessState>);

#[derive(Debug, Default)]
struct ReadinessState {
    serves: AtomicBool,
    store: OnceLock<Arc<dyn Store>>,
}

impl Readiness {
    /// From now on it does, or does not.
    pub fn set(&self, ready: bool) {
        self.0.serves.store(ready, Ordering::Release);
    }

    /// Sets the store that the gateway serves from; the first counts.
    pub fn depend_on(&self, store: Arc<dyn Store>) {
        let _ = self.0.store.set(store);
    }

    /// Whether it does.
    pub fn is_ready(&self) -> bool {
        let is_superseded =
            |store: &Arc<dyn Store>| matches!(store.require_lock(), Err(StoreError::Superseded(_)));
        self.0.serves.load(Ordering::Acquire) && !self.0.store.get().is_some_and(is_superseded)
    }
}

/// The bound ops listener.
#[derive(Debug)]
pub struct HealthServer {
    listener: TcpListener,
    view: Arc<HealthView>,
}

/// The state behind the responses.
#[derive(Debug)]
struct HealthView {
    readiness: Readiness,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// The wall clock at the start, as the time since 1970.
    started: Duration,
    /// The monotonic clock at the start.
    origin: Duration,
}

impl HealthServer {
    /// Binds the address; port 0 takes any free one.
    pub async fn bind(
        address: SocketAddr,
        readiness: Readiness,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> io::Result<Self> {
        let started = Duration::try_from(clock.now().as_duration()).unwrap_or_default();
        let origin = clock.monotonic();
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            view: Arc::new(HealthView {
                readiness,
                metrics,
                clock,
                started,
                origin,
            }),
        })
    }

    /// The bound address, with its real port.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, which should come after the gateway has drained, since `/readyz` reports the
    /// draining. `servers` are those of all applications, for the metrics.
    pub async fn run(
        self,
        servers: impl Fn() -> Vec<ServerGauges> + Send + Sync + 'static,
        stop: CancellationToken,
    ) {
        let servers = Arc::new(servers);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let next = async {
                let place = places.clone().acquire_owned().await;
                (place, self.listener.accept().await)
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(_) = connections.join_next() => {}
                (place, accepted) = next => match accepted {
                    Ok((stream, _)) => {
                        let (view, servers) = (self.view.clone(), servers.clone());
                        connections.spawn(async move {
                            view.serve(stream, servers.as_ref()).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::error!(%error, "connections to the ops address cannot be accepted");
                        let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
                    }
                },
            }
        }
    }
}

impl HealthView {
    async fn serve(&self, stream: TcpStream, servers: &(impl Fn() -> Vec<ServerGauges> + Sync)) {
        let service =
            service_fn(|request| async move { Ok::<_, Infallible>(self.respond(&request, servers)) });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .header_read_timeout(PATIENCE)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        // A probe may hang up early.
        let _ = connection.await;
    }

    fn respond<B>(
        &self,
        request: &Request<B>,
        servers: &impl Fn() -> Vec<ServerGauges>,
    ) -> Response<Full<Bytes>> {
        let (status, content_type, text) = match request.uri().path() {
            "/livez" | "/readyz" | "/metrics" if !matches!(*request.method(), Method::GET | Method::HEAD) => {
                (
                    StatusCode::METHOD_NOT_ALLOWED,
                    PLAIN,
                    "method not allowed\n".to_owned(),
                )
            }
            "/livez" => (StatusCode::OK, PLAIN, "ok\n".to_owned()),
            "/readyz" if self.readiness.is_ready() => (StatusCode::OK, PLAIN, "ok\n".to_owned()),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, PLAIN, "not ready\n".to_owned()),
            "/metrics" => {
                let uptime = self.clock.monotonic().saturating_sub(self.origin);
                (
                    StatusCode::OK,
                    EXPOSITION,
                    self.metrics.exposition(self.started, uptime, &servers()),
                )
            }
            _ => (StatusCode::NOT_FOUND, PLAIN, "not found\n".to_owned()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(Ok(date)) = self.clock.http_date().map(HeaderValue::try_from) {
            headers.insert(DATE, date);
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}
