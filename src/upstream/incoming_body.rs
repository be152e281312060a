//! A message body as hyper receives it, from a client or a server.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::BodyError;

/// A received body.
///
/// Ends only where its sender ended it: in HTTP/2 hyper takes a stream that is reset with `NO_ERROR` for
/// complete; here that is an error like any other reset, so that a part never passes for the whole.
#[derive(Debug)]
pub struct IncomingBody {
    incoming: Incoming,
    is_http2: bool,
}

impl IncomingBody {
    /// A body over HTTP/1, framed by chunks, length or close.
    pub(super) fn http1(incoming: Incoming) -> Self {
        Self {
            incoming,
            is_http2: false,
        }
    }

    /// A body over HTTP/2, ended by `END_STREAM`.
    pub(super) fn http2(incoming: Incoming) -> Self {
        Self {
            incoming,
            is_http2: true,
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        self.is_http2
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        if frame.is_none() && self.is_http2 && !self.incoming.is_end_stream() {
            return Poll::Ready(Some(Err(BodyError::Reset)));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
