//! The body of an application's answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::balance::Suspicion;
use super::places::Place;
use super::pool::Lease;
use super::{BodyError, Received};

/// A body as it comes. Its connection goes back to the pool at its end, and is closed if it is dropped before.
#[derive(Debug)]
pub struct ResponseBody {
    received: Received,
    lease: Option<Lease>,
    /// Given back after the connection, which whoever waits for the place then uses.
    place: Option<Place>,
    /// Raised if the body breaks off: a server that answers half is no better than one that does not.
    suspicion: Option<Suspicion>,
}

impl ResponseBody {
    pub(super) fn new(received: Received, lease: Option<Lease>) -> Self {
        let mut body = Self {
            received,
            lease,
            place: None,
            suspicion: None,
        };
        body.give_back_at_the_end();
        body
    }

    /// Has the place taken until the body's end.
    pub(super) fn hold(&mut self, place: Option<Place>) {
        if !self.received.is_end_stream() {
            self.place = place;
        }
    }

    /// Has the server that sends it come under suspicion if it breaks off.
    pub(super) fn watch(&mut self, suspicion: Option<Suspicion>) {
        self.suspicion = suspicion;
    }

    fn give_back_at_the_end(&mut self) {
        if self.received.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        self.place = None;
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.received).poll_frame(context);
        match &polled {
            Poll::Ready(None) => self.give_back(),
            Poll::Ready(Some(Ok(_))) => self.give_back_at_the_end(),
            Poll::Ready(Some(Err(_))) => {
                self.lease = None;
                if let Some(suspicion) = self.suspicion.take() {
                    suspicion.raise("broken body");
                }
            }
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.received.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.received.size_hint()
    }
}
