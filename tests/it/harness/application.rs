//! Upstream applications for tests, over real sockets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::soon;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A request as an upstream receives it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// Path and query, as received.
    pub(crate) target: String,
    /// In the order of arrival.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) trailers: Vec<(String, String)>,
}

/// An upstream that records the requests.
pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
    run: JoinHandle<()>,
}

impl Application {
    /// Responds "hello" to everything.
    pub(crate) async fn start() -> Self {
        Self::answering(|_| Response::new(Bytes::from_static(b"hello"))).await
    }

    /// Responds with "begun", and with nothing more.
    pub(crate) async fn quiet() -> Self {
        Self::serving(|_, _, _| async {
            let begun = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from("begun")))]);
            Response::new(StreamBody::new(Box::pin(begun.chain(stream::pending()))).boxed_unsync())
        })
        .await
    }

    /// Responds with the result of the function, once the request body is complete.
    pub(crate) async fn answering(
        answer: impl Fn(&Received) -> Response<Bytes> + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::serving(move |parts, incoming, received| {
            let answer = answer.clone();
            async move {
                let request = receive(parts, incoming).await;
                let response = answer(&request).map(|body| Full::new(body).boxed_unsync());
                received.lock().unwrap().push(request);
                response
            }
        })
        .await
    }

    /// Responds with the result of the function, which reads the body itself.
    pub(crate) async fn serving<F>(
        serve: impl Fn(Parts, Incoming, Arc<Mutex<Vec<Received>>>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (noted, counted) = (received.clone(), connections.clone());
        let run = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(connection(stream, serve.clone(), noted.clone()));
            }
        });
        Self {
            address,
            received,
            connections,
            run,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Returns the only request.
    pub(crate) fn only(&self) -> Received {
        let received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received[0].clone()
    }

    /// Returns how many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.run.abort();
    }
}

impl Received {
    /// Returns the values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Returns the only value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name}: {all:?}");
        all.first().copied()
    }
}

/// Returns a request without its body.
pub(crate) fn head_of(parts: &Parts) -> Received {
    Received {
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().unwrap().to_string(),
        headers: pairs(&parts.headers),
        body: Bytes::new(),
        trailers: Vec::new(),
    }
}

async fn receive(parts: Parts, incoming: Incoming) -> Received {
    let mut request = head_of(&parts);
    if let Ok(body) = incoming.collect().await {
        request.trailers = body.trailers().map(pairs).unwrap_or_default();
        request.body = body.to_bytes();
    }
    request
}

fn pairs(headers: &http::HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect()
}

/// Serves HTTP/1.1, or HTTP/2 with prior knowledge, with upgrades.
async fn connection<F>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    serve: impl Fn(Parts, Incoming, Arc<Mutex<Vec<Received>>>) -> F + Clone + Send + Sync + 'static,
    received: Arc<Mutex<Vec<Received>>>,
) where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (parts, incoming) = request.into_parts();
        let answer = serve(parts, incoming, received.clone());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    // High limits, because the gateway's are tested.
    builder.http1().max_headers(10_000);
    builder.http2().max_header_list_size(1 << 20);
    let _ = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}

/// Waits for a condition that another task makes true.
pub(crate) async fn until(mut is_true: impl FnMut() -> bool) {
    soon(async {
        while !is_true() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
