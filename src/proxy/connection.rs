//! Serves one client connection with hyper: HTTP/1.1 or HTTP/2, as negotiated by ALPN.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body::Body as _;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::connection_info::ConnectionInfo;
use super::connection_state::ConnectionState;
use super::library_errors::ErrorTagger;
use super::limited_io::LimitedIo;
use super::{GatewayHandle, Timeouts};
use crate::config::TlsVersion;
use crate::listener::{Accepted, Activity};
use crate::request::{ClientAddress, Host};

/// Facts about a connection that the listener knows before the first request.
#[derive(Clone, Debug)]
pub struct HandshakeInfo {
    /// The peer, or the client that a PROXY header names.
    pub client: ClientAddress,
    /// The local port.
    pub port: u16,
    /// The server name (SNI) of the TLS handshake.
    pub sni: Option<Host>,
    /// Whether ALPN chose HTTP/2.
    pub http2: bool,
    /// The version of TLS; none where a trusted proxy ended TLS.
    pub tls: Option<TlsVersion>,
    /// Counts the connection's requests for the listener's limits.
    pub activity: Arc<Activity>,
}

/// HTTP/2 limits on what one client makes the gateway hold: streams, and bytes in flight in either direction.
const STREAMS: u32 = 128;
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
const SEND_BUFFER: usize = 128 << 10;

/// Resets that hyper tolerates at a time before it closes the connection (rapid reset, CVE-2023-44487).
const RESET_STREAMS: usize = 20;

/// The same for a connection of a trusted proxy, over which all its clients come.
const PROXY_RESET_STREAMS: usize = 1000;

const LOCAL_RESET_STREAMS: usize = 256;

/// Interval and time-out of HTTP/2 keep-alive pings.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// How long pages may wait over HTTP/2 for a client that reads none of them.
const UNREAD: Duration = Duration::from_mins(1);

/// How long a connection stays open after its last request once the gateway stops: a client that has not noticed may be
/// sending another one.
pub(super) const LAST_CALL: Duration = Duration::from_millis(500);

impl GatewayHandle {
    /// Serves a connection that the listener accepted.
    pub async fn serve_connection(self: Arc<Self>, accepted: Accepted) {
        let handshake = HandshakeInfo {
            client: accepted.client,
            port: accepted.port,
            sni: accepted.sni,
            http2: accepted.http2,
            tls: accepted.tls,
            activity: accepted.activity,
        };
        self.serve(accepted.stream, handshake).await;
    }

    /// Serves a connection until it ends. When the gateway stops, requests in progress are completed first.
    pub async fn serve<S>(self: Arc<Self>, stream: S, handshake: HandshakeInfo)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let conversation = Arc::new(ConnectionState::counting(handshake.activity));
        let arrival = Arc::new(ConnectionInfo {
            peer: handshake.client,
            port: handshake.port,
            sni: handshake.sni,
            tls: handshake.tls,
            state: conversation.clone(),
        });
        if handshake.http2 {
            self.serve_http2(stream, arrival, conversation).await;
        } else {
            self.serve_http1(stream, arrival, conversation).await;
        }
    }

    async fn serve_http1<S>(
        self: Arc<Self>,
        stream: S,
        arrival: Arc<ConnectionInfo>,
        state: Arc<ConnectionState>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let ConnectionLimits {
            stop,
            timeouts,
            head,
            fields,
        } = self.bounds();
        let tagger = ErrorTagger::new(self.clone(), arrival.clone());
        let stream = LimitedIo::http1(stream, state.clone(), timeouts.header, timeouts.idle).naming(tagger);
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            // hyper caches the date and would go on sending it when the clock is set back; `finish` sets it
            // instead.
            .auto_date_header(false)
            // hyper's timer runs from the end of the previous request, so it is the keep-alive time.
            // `LimitedIo` bounds the time from a head's first byte.
            .header_read_timeout(timeouts.keep_alive)
            .pipeline_flush(false)
            .max_buf_size(head)
            .max_header_size(head)
            .max_headers(fields);
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let (turn, seen) = arrival.state.begin(!request.body().is_end_stream());
            let answer = self.load().respond(arrival.clone(), request, turn, seen);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return report(ended),
            () = async {
                stop.cancelled().await;
                idle(&state, LAST_CALL).await;
            } => {}
        }
        state.end();
        connection.as_mut().graceful_shutdown();
        report(connection.await);
    }

    async fn serve_http2<S>(
        self: Arc<Self>,
        stream: S,
        arrival: Arc<ConnectionInfo>,
        state: Arc<ConnectionState>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let ConnectionLimits {
            stop, timeouts, head, ..
        } = self.bounds();
        let is_of_proxy = arrival.peer.through_trusted_proxy;
        let stream = LimitedIo::http2(stream, state.clone(), timeouts.header, timeouts.idle, is_of_proxy);
        let resets = if is_of_proxy {
            PROXY_RESET_STREAMS
        } else {
            RESET_STREAMS
        };
        let memory = self.memory.connect(&arrival.peer);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .max_concurrent_streams(STREAMS)
            // WebSockets (RFC 8441); any other CONNECT is refused.
            .enable_connect_protocol()
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_pending_accept_reset_streams(resets)
            .max_local_error_reset_streams(LOCAL_RESET_STREAMS)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN);
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let share = memory.take(&request);
            let (guard, _) = arrival.state.begin(false);
            let guard = guard.limited_to(share);
            let response = self.load().respond(arrival.clone(), request, guard, None);
            async move { Ok::<_, Infallible>(response.await) }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return report(ended),
            () = stop.cancelled() => {}
            () = idle(&state, timeouts.keep_alive) => {}
            () = unread_by_client(&state, is_of_proxy) => return,
        }
        Pin::as_mut(&mut connection).graceful_shutdown();
        // A client that is idle and does not read the GOAWAY would hold up the stop for all of the drain's time.
        tokio::select! {
            ended = connection.as_mut() => report(ended),
            () = async {
                stop.cancelled().await;
                idle(&state, LAST_CALL).await;
            } => {}
            () = unread_by_client(&state, is_of_proxy) => {}
        }
    }

    fn bounds(&self) -> ConnectionLimits {
        let gateway = self.load();
        ConnectionLimits {
            stop: gateway.stop.clone(),
            timeouts: gateway.timeouts,
            head: gateway.request_head,
            fields: gateway.header_fields,
        }
    }
}

/// Limits that hold for a connection's whole life; a reload does not change them.
struct ConnectionLimits {
    stop: CancellationToken,
    timeouts: Timeouts,
    /// Bytes of a request head.
    head: usize,
    /// Fields of a request head.
    fields: usize,
}

/// Completes once no request was in progress for all of `limit`.
async fn idle(state: &ConnectionState, limit: Duration) {
    let mut before = state.idle_since();
    loop {
        tokio::time::sleep(limit).await;
        let now = state.idle_since();
        if now.is_some() && now == before {
            return;
        }
        before = now;
    }
}

/// As [`unread`]; never ends for a trusted proxy, whose connection is that of many clients.
async fn unread_by_client(state: &ConnectionState, is_of_proxy: bool) {
    if is_of_proxy {
        std::future::pending::<()>().await;
    }
    unread(state).await;
    tracing::debug!("a client read no page for {UNREAD:?}");
}

/// Waits until pages were waiting for [`UNREAD`] and none was sent. hyper asks for no page that the client has no window
/// for, so that the page itself has no moment to notice.
async fn unread(state: &ConnectionState) {
    loop {
        let before = state.own_sent();
        tokio::time::sleep(UNREAD).await;
        if before.is_some() && state.own_sent() == before {
            return;
        }
    }
}

/// Logs at debug level: clients break off all the time.
fn report(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    fn page(state: &Arc<ConnectionState>) -> super::super::connection_state::RequestGuard {
        let (mut guard, _) = state.begin(false);
        guard.send_own(1 << 10);
        guard
    }

    #[tokio::test(start_paused = true)]
    async fn s48_a_client_that_reads_no_page_is_given_up() {
        let state = Arc::<ConnectionState>::default();
        assert!(
            timeout(10 * UNREAD, unread(&state)).await.is_err(),
            "it has asked for none"
        );
        let _never_read = page(&state);
        let reads_others = async {
            for _ in 0..10 {
                let other = page(&state);
                sleep(UNREAD / 2).await;
                drop(other);
            }
        };
        tokio::select! {
            () = unread(&state) => panic!("it reads others"),
            () = reads_others => {}
        }
        let began = Instant::now();
        unread(&state).await;
        assert!(began.elapsed() <= 2 * UNREAD, "{:?}", began.elapsed());
    }
}
