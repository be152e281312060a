//! The response body that hyper sends to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::access_log::PendingEntry;
use super::compressed_body::CompressedBody;
use super::connection_state::RequestGuard;
use crate::authenticate::{Credentials, LOOKS_EVERY};
use crate::upstream::{self, BodyError, BodyProgress};

/// Content, with its watch and completion.
#[derive(Debug)]
pub(super) struct DownstreamBody {
    content: BodySource,
    watch: SessionWatch,
    ending: OnComplete,
}

#[derive(Debug)]
pub(super) enum BodySource {
    /// The gateway's own bytes; `None` once sent, or if there are none.
    Own(Option<Bytes>),
    /// The upstream's body.
    Upstream(upstream::ResponseBody),
    /// The same, compressed.
    Compressed(Box<CompressedBody>),
}

/// Ends a body that stalls, or whose credentials have lapsed.
#[derive(Debug)]
pub(super) struct SessionWatch {
    credentials: Option<Credentials>,
    idle: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    /// When the upstream went quiet; `None` while data arrives.
    quiet_since: Option<Instant>,
}

/// Releases the request and writes its access-log line on drop, whether the body was complete or not.
#[derive(Debug)]
pub(super) struct OnComplete {
    /// The request; `None` where a tunnel has it.
    pub(super) guard: Option<RequestGuard>,
    /// Progress of the request body.
    pub(super) request: Option<Arc<BodyProgress>>,
    pub(super) record: Option<PendingEntry>,
}

impl DownstreamBody {
    pub(super) fn new(content: BodySource, watch: SessionWatch, ending: OnComplete) -> Self {
        Self {
            content,
            watch,
            ending,
        }
    }
}

impl BodySource {
    /// Wraps the gateway's own bytes.
    pub(super) fn own(bytes: Bytes) -> Self {
        Self::Own(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl SessionWatch {
    /// Creates a watch for content that is sent under `credentials` and may pause for `idle`.
    pub(super) fn new(credentials: Option<Credentials>, idle: Duration) -> Self {
        Self {
            credentials,
            idle,
            sleep: None,
            quiet_since: None,
        }
    }

    /// Passes on what came, or an error if the body has to end.
    fn watch(
        &mut self,
        polled: Poll<Option<Result<Frame<Bytes>, BodyError>>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match polled {
            Poll::Pending => self.poll_quiet(context).map(|error| Some(Err(error))),
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| self.came().and(frame))),
        }
    }

    fn came(&mut self) -> Result<(), BodyError> {
        self.quiet_since = None;
        require_current(self.credentials.as_ref())
    }

    fn poll_quiet(&mut self, context: &mut Context<'_>) -> Poll<BodyError> {
        let tick = match self.credentials {
            Some(_) => self.idle.min(LOOKS_EVERY),
            None => self.idle,
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(tick)));
        let quiet_since = if let Some(since) = self.quiet_since {
            since
        } else {
            let now = Instant::now();
            self.quiet_since = Some(now);
            sleep.as_mut().reset(now + tick);
            now
        };
        loop {
            ready!(sleep.as_mut().poll(context));
            if let Err(ended) = require_current(self.credentials.as_ref()) {
                return Poll::Ready(ended);
            }
            if quiet_since.elapsed() >= self.idle {
                return Poll::Ready(BodyError::Stalled);
            }
            sleep.as_mut().reset(Instant::now() + tick);
        }
    }
}

/// Takes all but the last byte, and then that: hyper takes a piece as soon as the client has room for a byte, and the last one
/// once it has room for all, so that the request lasts until then.
fn next_of(bytes: &mut Option<Bytes>) -> Option<Bytes> {
    match bytes {
        Some(rest) if rest.len() > 1 => Some(rest.split_to(rest.len() - 1)),
        _ => bytes.take(),
    }
}

fn require_current(credentials: Option<&Credentials>) -> Result<(), BodyError> {
    credentials.map_or(Ok(()), |credentials| Ok(credentials.require_current()?))
}

impl Body for DownstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let polled = match &mut this.content {
            BodySource::Own(bytes) => Poll::Ready(next_of(bytes).map(|bytes| Ok(Frame::data(bytes)))),
            BodySource::Upstream(body) => {
                let polled = Pin::new(body).poll_frame(context);
                this.watch.watch(polled, context)
            }
            BodySource::Compressed(body) => {
                let polled = Pin::new(body).poll_frame(context);
                this.watch.watch(polled, context)
            }
        };
        if let (Poll::Ready(Some(Ok(frame))), Some(record)) = (&polled, &mut this.ending.record)
            && let Some(data) = frame.data_ref()
        {
            record.count(data.len());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            BodySource::Own(bytes) => bytes.is_none(),
            BodySource::Upstream(body) => body.is_end_stream(),
            BodySource::Compressed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            BodySource::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            BodySource::Upstream(body) => body.size_hint(),
            BodySource::Compressed(body) => body.size_hint(),
        }
    }
}

impl Drop for OnComplete {
    fn drop(&mut self) {
        if let Some(guard) = &self.guard
            && self
                .request
                .as_ref()
                .is_some_and(|request| request.finished().is_none())
        {
            guard.leave_unread();
        }
        if let Some(record) = self.record.take() {
            record.write();
        }
    }
}
