//! The body of an application's answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::balance::Suspicion;
use super::pool::Lease;
use super::slots::ConnectionPermit;
use super::{BodyError, IncomingBody};

/// A body as it comes. Its connection goes back to the pool at its end, and is closed if it is dropped before.
#[derive(Debug)]
pub struct ResponseBody(Arc<OpenResponse>);

/// An answer that goes on, shared by its body and the places, which take back the connection of one that nobody reads.
#[derive(Debug)]
pub(super) struct OpenResponse(Mutex<ExchangeState>);

#[derive(Debug)]
struct ExchangeState {
    /// `None` once the connection was taken back.
    exchange: Option<Exchange>,
    /// Since when it is the client's turn; `None` while the application's.
    unread_since: Option<Instant>,
}

#[derive(Debug)]
struct Exchange {
    received: IncomingBody,
    lease: Option<Lease>,
    /// Given back after the connection, which whoever waits for the place then uses.
    permit: Option<ConnectionPermit>,
    /// Raised if the body breaks off, and dismissed at its end: a server that answers half is no better than one that does
    /// not.
    suspicion: Option<Suspicion>,
}

impl ResponseBody {
    pub(super) fn new(received: IncomingBody, lease: Option<Lease>) -> Self {
        let mut exchange = Exchange {
            received,
            lease,
            permit: None,
            suspicion: None,
        };
        exchange.give_back_at_the_end();
        let state = ExchangeState {
            exchange: Some(exchange),
            unread_since: Some(Instant::now()),
        };
        Self(Arc::new(OpenResponse(Mutex::new(state))))
    }

    /// Has the place taken until the body's end, or until others wait for it and nobody reads.
    pub(super) fn hold(&mut self, permit: Option<ConnectionPermit>) {
        let Some(place) = permit.filter(|_| !self.is_end_stream()) else {
            return;
        };
        place.lend(&self.0);
        if let Some(exchange) = &mut self.0.state().exchange {
            exchange.permit = Some(place);
        }
    }

    /// Has the server that sends it come under suspicion if it breaks off.
    pub(super) fn watch(&mut self, suspicion: Option<Suspicion>) {
        if let Some(exchange) = &mut self.0.state().exchange {
            exchange.suspicion = suspicion;
            exchange.give_back_at_the_end();
        }
    }
}

impl OpenResponse {
    /// How long the client has taken nothing of what is there.
    pub(super) fn unread_for(&self) -> Option<Duration> {
        self.state().unread_since.map(|since| since.elapsed())
    }

    /// Breaks it off: its connection is closed, and its place free.
    pub(super) fn break_off(&self) {
        let exchange = self.state().exchange.take();
        // Others are told once it is unlocked.
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
