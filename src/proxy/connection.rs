//! One connection: HTTP/1.1 or HTTP/2, as both sides agreed in the handshake.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::Gateway;
use crate::config::Config;
use crate::listener::Accepted;

/// Bounds of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// For the whole head of a request.
    pub(super) header: Duration,
    head: usize,
}

impl Settings {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            header: config.timeouts.header.0,
            head: usize::try_from(config.limits.request_head.0).unwrap_or(64 << 10),
        }
    }
}

impl Gateway {
    /// Serves one connection until it ends, or gracefully ends it when the gateway stops.
    pub async fn serve_connection(self: Arc<Self>, accepted: Accepted) {
        let Accepted {
            stream,
            client,
            sni,
            http2,
        } = accepted;
        let stop = self.stop.clone();
        let settings = self.settings;
        let caller = Arc::new((client, sni));
        let service = service_fn(move |request| {
            let (gateway, caller) = (self.clone(), caller.clone());
            async move { Ok::<_, Infallible>(gateway.answer(request, &caller.0, caller.1.as_ref()).await) }
        });
        let io = TokioIo::new(stream);
        if http2 {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(128)
                .max_header_list_size(u32::try_from(settings.head).unwrap_or(64 << 10))
                .max_pending_accept_reset_streams(20)
                .keep_alive_interval(Duration::from_secs(30))
                .serve_connection(io, service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        } else {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(settings.header)
                .max_buf_size(settings.head)
                .serve_connection(io, service)
                .with_upgrades();
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        }
    }
}
