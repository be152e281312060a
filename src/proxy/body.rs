//! The body of an answer: a page's, or an application's as it comes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A body, never buffered.
pub(super) enum Body {
    /// A page's.
    Full(Bytes),
    /// An application's, for a request of nobody's.
    Plain(Incoming),
    /// An application's, which ends with the session that asked for it (S28).
    Until(Incoming, Pin<Box<WaitForCancellationFutureOwned>>),
}

/// The session ended while its answer was under way.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error(transparent)]
    Upstream(#[from] hyper::Error),
    #[error("the session ended")]
    SessionEnded,
}

impl Body {
    pub(super) fn until(incoming: Incoming, ended: Option<CancellationToken>) -> Self {
        match ended {
            Some(ended) => Self::Until(incoming, Box::pin(ended.cancelled_owned())),
            None => Self::Plain(incoming),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Plain(incoming) => Pin::new(incoming).poll_frame(cx).map_err(BodyError::from),
            Self::Until(incoming, ended) => {
                if ended.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Some(Err(BodyError::SessionEnded)));
                }
                Pin::new(incoming).poll_frame(cx).map_err(BodyError::from)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Plain(incoming) | Self::Until(incoming, _) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Plain(incoming) | Self::Until(incoming, _) => incoming.size_hint(),
        }
    }
}
