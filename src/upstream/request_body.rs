//! The body of a request on its way to an application.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::Stall;
use crate::identity::Strip;

/// A body that is handed on as it comes, never collected.
#[derive(Debug)]
pub struct RequestBody(Option<Box<Streaming>>);

#[derive(Debug)]
struct Streaming {
    incoming: Incoming,
    stall: Stall,
    strip: Arc<Strip>,
    progress: Arc<Progress>,
}

/// How far a body has come, for those who gave it away.
#[derive(Debug, Default)]
pub struct Progress {
    finished: OnceLock<Instant>,
    failed: AtomicBool,
}

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection broke off, or what came is no body.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// Nothing came for too long.
    #[error("nothing came for too long")]
    Stalled,
    /// The session on whose behalf it was sent has ended.
    #[error("the session has ended")]
    SessionEnded,
}

impl RequestBody {
    /// The body that a client sends. Its trailers lose what only the gateway may say, and it may pause for `idle`.
    pub fn new(incoming: Incoming, strip: &Arc<Strip>, idle: Duration) -> Self {
        if incoming.is_end_stream() {
            return Self::empty();
        }
        Self(Some(Box::new(Streaming {
            incoming,
            stall: Stall::new(idle),
            strip: strip.clone(),
            progress: Arc::default(),
        })))
    }

    /// No body.
    pub fn empty() -> Self {
        Self(None)
    }

    /// How far it comes; `None` if there is nothing to come.
    pub fn progress(&self) -> Option<Arc<Progress>> {
        self.0.as_ref().map(|body| body.progress.clone())
    }
}

impl Progress {
    /// When the last of it was handed on; `None` before that.
    pub fn finished(&self) -> Option<Instant> {
        self.finished.get().copied()
    }

    /// Whether it broke off.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn finish(&self) {
        let _ = self.finished.set(Instant::now());
    }

    fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let Poll::Ready(polled) = Pin::new(&mut body.incoming).poll_frame(context) else {
            return body.stall.poll_waiting(context).map(|()| {
                body.progress.fail();
                Some(Err(BodyError::Stalled))
            });
        };
        body.stall.progressed();
        let polled = polled.transpose().inspect_err(|_| body.progress.fail())?;
        if polled.is_none() || body.incoming.is_end_stream() {
            body.progress.finish();
        }
        Poll::Ready(polled.map(|frame| {
            Ok(match frame.into_trailers() {
                Ok(mut trailers) => {
                    body.strip.trailers(&mut trailers);
                    Frame::trailers(trailers)
                }
                Err(frame) => frame,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|body| body.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |body| body.incoming.size_hint())
    }
}
