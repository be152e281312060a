//! The response body that an upstream sends.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::balance::Suspicion;
use super::http1_pool::ConnectionLease;
use super::http2_pool::StreamLease;
use super::slots::ConnectionPermit;
use super::{BodyError, IncomingBody};

/// A streamed body. Its connection goes back to the pool at the end, and is closed if the body is dropped
/// earlier.
#[derive(Debug)]
pub struct ResponseBody(Arc<OpenResponse>);

/// A response in progress, shared by its body and the connection limits, which may abort it if it is not
/// read.
#[derive(Debug)]
pub(super) struct OpenResponse(Mutex<ExchangeState>);

#[derive(Debug)]
struct ExchangeState {
    /// `None` once aborted.
    exchange: Option<Exchange>,
    /// Since when the client has not polled for more; `None` while waiting for the upstream.
    unread_since: Option<Instant>,
}

#[derive(Debug)]
struct Exchange {
    received: IncomingBody,
    lease: Option<ConnectionLease>,
    /// Its stream on a connection of HTTP/2.
    stream: Option<Arc<StreamLease>>,
    /// Dropped after the connection is back, so that the next holder can reuse it.
    permit: Option<ConnectionPermit>,
    /// Raised if the body breaks off, dismissed at its end: half a response counts as a failure.
    suspicion: Option<Suspicion>,
}

impl ResponseBody {
    pub(super) fn http1(received: Incoming, lease: ConnectionLease) -> Self {
        Self::new(Exchange {
            received: IncomingBody::http1(received),
            lease: Some(lease),
            stream: None,
            permit: None,
            suspicion: None,
        })
    }

    pub(super) fn http2(received: Incoming, stream: Arc<StreamLease>) -> Self {
        Self::new(Exchange {
            received: IncomingBody::http2(received),
            lease: None,
            stream: Some(stream),
            permit: None,
            suspicion: None,
        })
    }

    fn new(mut exchange: Exchange) -> Self {
        exchange.give_back_at_the_end();
        let state = ExchangeState {
            exchange: Some(exchange),
            unread_since: Some(Instant::now()),
        };
        Self(Arc::new(OpenResponse(Mutex::new(state))))
    }

    /// Holds the permit until the body ends, or is aborted because others wait for it.
    pub(super) fn hold(&mut self, permit: Option<ConnectionPermit>) {
        let Some(permit) = permit.filter(|_| !self.is_end_stream()) else {
            return;
        };
        permit.lend(&self.0);
        if let Some(exchange) = &mut self.0.state().exchange {
            exchange.permit = Some(permit);
        }
    }

    /// Reports to `suspicion` whether the body is complete.
    pub(super) fn watch(&mut self, suspicion: Option<Suspicion>) {
        if let Some(exchange) = &mut self.0.state().exchange {
            exchange.suspicion = suspicion;
            exchange.give_back_at_the_end();
        }
    }
}

impl OpenResponse {
    /// Returns for how long the client has not read available data; `None` while it waits for the upstream.
    pub(super) fn unread_for(&self) -> Option<Duration> {
        self.state().unread_since.map(|since| since.elapsed())
    }

    /// Aborts the response: closes its connection and frees its permit.
    pub(super) fn break_off(&self) {
        let exchange = self.state().exchange.take();
        // Dropped outside the lock, because dropping the permit wakes others.
        drop(exchange);
    }

    fn state(&self) -> MutexGuard<'_, ExchangeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    fn give_back_at_the_end(&mut self) {
        if self.received.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        self.stream = None;
        self.permit = None;
        if let Some(suspicion) = self.suspicion.take() {
            suspicion.dismiss();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.0.state();
        let Some(exchange) = &mut state.exchange else {
            return Poll::Ready(Some(Err(BodyError::Unread)));
        };
        let polled = Pin::new(&mut exchange.received).poll_frame(context);
        match &polled {
            Poll::Ready(None) => exchange.give_back(),
            Poll::Ready(Some(Ok(_))) => exchange.give_back_at_the_end(),
            Poll::Ready(Some(Err(_))) => {
                exchange.lease = None;
                if let Some(suspicion) = exchange.suspicion.take() {
                    suspicion.raise("broken body");
                }
            }
            Poll::Pending => {}
        }
        state.unread_since = polled.is_ready().then(Instant::now);
        polled
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.state();
        let exchange = state.exchange.as_ref();
        exchange.is_some_and(|exchange| exchange.received.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.0.state();
        let exchange = state.exchange.as_ref();
        exchange.map_or_else(SizeHint::default, |exchange| exchange.received.size_hint())
    }
}
