//! The request body that hyper sends to an upstream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::http2_pool::StreamLease;
use super::verifying_body::VerifyingBody;
use super::{IdleTimeout, Upload};
use crate::authenticate::signature::{BodyCheck, SignatureError};
use crate::authenticate::{Credentials, Lapse, Proof};
use crate::authorize::Permit;
use crate::identity::Strip;

/// A body that is streamed, or one that was buffered to verify it.
#[derive(Debug)]
pub struct RequestBody(RequestContent);

#[derive(Debug)]
enum RequestContent {
    Nothing,
    Streaming(Box<StreamingContent>),
    Buffered(Box<BufferedContent>),
}

#[derive(Debug)]
struct BufferedContent {
    bytes: Option<Bytes>,
    credentials: Option<Credentials>,
    progress: Arc<BodyProgress>,
}

#[derive(Debug)]
struct StreamingContent {
    upload: Upload,
    verifying: Option<VerifyingBody>,
    idle: IdleTimeout,
    /// How many bytes may still come; `None`: any.
    left: Option<u64>,
    strip: Arc<Strip>,
    drops_trailers: bool,
    credentials: Option<Credentials>,
    progress: Arc<BodyProgress>,
    /// Its stream on a connection of HTTP/2.
    stream: Option<Arc<StreamLease>>,
}

/// Progress of a body, shared with the sender of the request.
#[derive(Debug, Default)]
pub struct BodyProgress {
    /// How often more of it was asked for.
    asked: AtomicUsize,
    finished: OnceLock<Instant>,
    failed: AtomicBool,
    signature_error: OnceLock<SignatureError>,
    lapse: OnceLock<Lapse>,
    is_too_large: AtomicBool,
}

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// How long it may pause.
    pub idle: Duration,
    /// The most bytes, as they are sent; `None`: any.
    pub most: Option<u64>,
}

/// Why a body ends early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection broke, or the framing is invalid.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// The stream was reset before its end (RFC 9113, section 5.4.2).
    #[error("the stream was reset before the body's end")]
    Reset,
    /// No data arrived within the idle time-out.
    #[error("nothing came for too long")]
    Stalled,
    /// It has more bytes than it may.
    #[error("it is too large")]
    TooLarge,
    /// The client did not read it while others waited for a connection.
    #[error("the client did not read it while others waited for a connection")]
    Unread,
    /// The credentials lapsed.
    #[error(transparent)]
    Lapsed(#[from] Lapse),
    /// It cannot be compressed.
    #[error("it cannot be compressed: {0}")]
    Compression(io::Error),
    /// It does not match its signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl RequestBody {
    /// Streams a client's body within `limits`, and strips reserved names from trailers. Those of a
    /// presigned request are dropped: its signer has not seen them. With `check`, the end is withheld until the
    /// body matches its signature, and trailers are dropped too. Fails once the permit's credentials have lapsed.
    pub fn new(
        upload: Upload,
        check: Option<BodyCheck>,
        permit: &Permit,
        strip: &Arc<Strip>,
        limits: BodyLimits,
    ) -> Self {
        if upload.is_end_stream() {
            return Self::empty();
        }
        Self(RequestContent::Streaming(Box::new(StreamingContent {
            upload,
            verifying: check.map(VerifyingBody::new),
            idle: IdleTimeout::new(limits.idle),
            left: limits.most,
            strip: strip.clone(),
            drops_trailers: matches!(permit.proof(), Some(Proof::PresignedUrl(_))),
            credentials: permit.credentials().cloned(),
            progress: Arc::default(),
            stream: None,
        })))
    }

    /// Sends a body that is in memory. Fails if the permit's credentials have lapsed by then.
    pub fn buffered(bytes: Bytes, permit: &Permit) -> Self {
        let progress = BodyProgress::default();
        progress.finish();
        Self(RequestContent::Buffered(Box::new(BufferedContent {
            bytes: Some(bytes).filter(|bytes| !bytes.is_empty()),
            credentials: permit.credentials().cloned(),
            progress: progress.into(),
        })))
    }

    /// No body.
    pub fn empty() -> Self {
        Self(RequestContent::Nothing)
    }

    /// Holds the request's stream on a connection of HTTP/2 for as long as more of the body may come.
    pub(super) fn hold(&mut self, stream: Arc<StreamLease>) {
        if let RequestContent::Streaming(body) = &mut self.0 {
            body.stream = Some(stream);
        }
    }

    /// Returns the progress; `None` without a body.
    pub fn progress(&self) -> Option<Arc<BodyProgress>> {
        match &self.0 {
            RequestContent::Nothing => None,
            RequestContent::Streaming(body) => Some(body.progress.clone()),
            RequestContent::Buffered(buffered) => Some(buffered.progress.clone()),
        }
    }
}

impl BodyProgress {
    /// How often the upstream had room for more of it.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Returns when the last frame was handed to hyper; `None` before that.
    pub fn finished(&self) -> Option<Instant> {
        self.finished.get().copied()
    }

    /// Whether it ended early.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Returns why the body does not match its signature, if it does not.
    pub fn signature_error(&self) -> Option<SignatureError> {
        self.signature_error.get().cloned()
    }

    /// Whether it had more bytes than it may.
    pub fn is_too_large(&self) -> bool {
        self.is_too_large.load(Ordering::Relaxed)
    }

    /// Returns why the credentials lapsed, if they did.
    pub fn lapse(&self) -> Option<Lapse> {
        self.lapse.get().copied()
    }

    fn finish(&self) {
        let _ = self.finished.set(Instant::now());
    }

    fn fail(&self, error: BodyError) -> BodyError {
        match &error {
            BodyError::Signature(error) => drop(self.signature_error.set(error.clone())),
            BodyError::Lapsed(lapse) => drop(self.lapse.set(*lapse)),
            BodyError::TooLarge => self.is_too_large.store(true, Ordering::Relaxed),
            BodyError::Broken(_)
            | BodyError::Reset
            | BodyError::Stalled
            | BodyError::Unread
            | BodyError::Compression(_) => {}
        }
        self.failed.store(true, Ordering::Relaxed);
        error
    }
}

fn require_current(credentials: Option<&Credentials>) -> Result<(), Lapse> {
    credentials.map_or(Ok(()), Credentials::require_current)
}

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl StreamingContent {
    /// Polls the client's body, with idle time-out and credentials check.
    fn poll_sent(&mut self, context: &mut Context<'_>) -> Polled {
        let Poll::Ready(polled) = Pin::new(&mut self.upload).poll_frame(context) else {
            return self
                .idle
                .poll_waiting(context)
                .map(|()| Some(Err(self.progress.fail(BodyError::Stalled))));
        };
        self.idle.progressed();
        // Checked at the end too: without its end no server takes the body for whole.
        if let Err(lapse) = require_current(self.credentials.as_ref()) {
            return Poll::Ready(Some(Err(self.progress.fail(lapse.into()))));
        }
        if let (Some(left), Some(Ok(frame))) = (&mut self.left, &polled)
            && let Some(data) = frame.data_ref()
        {
            match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => return Poll::Ready(Some(Err(self.progress.fail(BodyError::TooLarge)))),
            }
        }
        Poll::Ready(polled.map(|frame| frame.map_err(|error| self.progress.fail(error))))
    }

    fn poll_unchecked(&mut self, context: &mut Context<'_>) -> Polled {
        let polled = std::task::ready!(self.poll_sent(context));
        // Trailers are the end: what sends them asks for nothing after them.
        let is_over = match &polled {
            None => true,
            Some(Ok(frame)) => frame.is_trailers() || self.upload.is_end_stream(),
            Some(Err(_)) => false,
        };
        if is_over {
            self.progress.finish();
        }
        Poll::Ready(polled.map(|frame| {
            frame.map(|frame| match frame.into_trailers() {
                Ok(_) if self.drops_trailers => Frame::trailers(HeaderMap::new()),
                Ok(mut trailers) => {
                    self.strip.trailers(&mut trailers);
                    Frame::trailers(trailers)
                }
                Err(frame) => frame,
            })
        }))
    }

    fn poll_checked(&mut self, context: &mut Context<'_>) -> Polled {
        loop {
            let Some(checked) = &mut self.verifying else {
                return self.poll_unchecked(context);
            };
            if let Some(piece) = checked.pop() {
                if checked.is_over() {
                    self.progress.finish();
                }
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if checked.is_over() {
                self.progress.finish();
                return Poll::Ready(None);
            }
            let polled = std::task::ready!(self.poll_sent(context)).transpose()?;
            let is_last = polled.is_none() || self.upload.is_end_stream();
            let Some(checked) = &mut self.verifying else {
                continue;
            };
            let data = polled.and_then(|frame| frame.into_data().ok());
            let verified = data.map_or(Ok(()), |data| checked.push(data));
            let verified = verified.and_then(|()| if is_last { checked.end() } else { Ok(()) });
            if let Err(error) = verified {
                return Poll::Ready(Some(Err(self.progress.fail(error.into()))));
            }
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        match &mut self.0 {
            RequestContent::Nothing => Poll::Ready(None),
            RequestContent::Streaming(body) => {
                body.progress.asked.fetch_add(1, Ordering::Relaxed);
                body.poll_checked(context)
            }
            RequestContent::Buffered(buffered) => Poll::Ready(buffered.bytes.take().map(|bytes| {
                let current = require_current(buffered.credentials.as_ref());
                current.map_err(|lapse| buffered.progress.fail(lapse.into()))?;
                Ok(Frame::data(bytes))
            })),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            RequestContent::Nothing => true,
            RequestContent::Streaming(body) => match &body.verifying {
                Some(checked) => checked.is_over(),
                None => body.upload.is_end_stream(),
            },
            RequestContent::Buffered(buffered) => buffered.bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            RequestContent::Nothing => SizeHint::with_exact(0),
            RequestContent::Streaming(body) => {
                let to_come = body.upload.size_hint();
                match &body.verifying {
                    None => to_come,
                    Some(checked) if checked.keeps_length() => {
                        let mut hint = SizeHint::new();
                        hint.set_lower(to_come.lower().saturating_add(checked.held()));
                        if let Some(upper) = to_come.upper() {
                            hint.set_upper(upper.saturating_add(checked.held()));
                        }
                        hint
                    }
                    Some(_) => SizeHint::default(),
                }
            }
            RequestContent::Buffered(buffered) => {
                SizeHint::with_exact(buffered.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}
