//! The body of a request on its way to an application.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::checked::Checked;
use super::{Stall, Upload};
use crate::authenticate::signature::{BodyCheck, Fault};
use crate::identity::Strip;

/// A body that is handed on as it comes, never collected; or one that had to be read to be judged.
#[derive(Debug)]
pub struct RequestBody(Sent);

#[derive(Debug)]
enum Sent {
    Nothing,
    Streaming(Box<Streaming>),
    Read(Option<Bytes>, Arc<Progress>),
}

#[derive(Debug)]
struct Streaming {
    upload: Upload,
    checked: Option<Checked>,
    stall: Stall,
    strip: Arc<Strip>,
    progress: Arc<Progress>,
}

/// How far a body has come, for those who gave it away.
#[derive(Debug, Default)]
pub struct Progress {
    finished: OnceLock<Instant>,
    failed: AtomicBool,
    fault: OnceLock<Fault>,
}

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection broke off, or what came is no body.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// The stream was reset before the end (RFC 9113, section 5.4.2).
    #[error("the stream was reset before the body's end")]
    Reset,
    /// Nothing came for too long.
    #[error("nothing came for too long")]
    Stalled,
    /// The session or the access key on whose behalf it was sent has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// It is another one than was signed.
    #[error(transparent)]
    Wrong(#[from] Fault),
}

impl RequestBody {
    /// The body that a client sends. Its trailers lose what only the gateway may say, and it may pause for `idle`. With
    /// a check, its end is handed on only if it is what was signed, and no trailers are: nobody signed those.
    pub fn new(upload: Upload, check: Option<BodyCheck>, strip: &Arc<Strip>, idle: Duration) -> Self {
        if upload.is_end_stream() {
            return Self::empty();
        }
        Self(Sent::Streaming(Box::new(Streaming {
            upload,
            checked: check.map(Checked::new),
            stall: Stall::new(idle),
            strip: strip.clone(),
            progress: Arc::default(),
        })))
    }

    /// A body that was read.
    pub fn read(bytes: Bytes) -> Self {
        let progress = Progress::default();
        progress.finish();
        Self(Sent::Read(
            Some(bytes).filter(|bytes| !bytes.is_empty()),
            progress.into(),
        ))
    }

    /// No body.
    pub fn empty() -> Self {
        Self(Sent::Nothing)
    }

    /// How far it comes; `None` if there is nothing to come.
    pub fn progress(&self) -> Option<Arc<Progress>> {
        match &self.0 {
            Sent::Nothing => None,
            Sent::Streaming(body) => Some(body.progress.clone()),
            Sent::Read(_, progress) => Some(progress.clone()),
        }
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

    /// How it differs from what was signed, if it does.
    pub fn fault(&self) -> Option<Fault> {
        self.fault.get().cloned()
    }

    fn finish(&self) {
        let _ = self.finished.set(Instant::now());
    }

    fn fail(&self, error: BodyError) -> BodyError {
        if let BodyError::Wrong(fault) = &error {
            let _ = self.fault.set(fault.clone());
        }
        self.failed.store(true, Ordering::Relaxed);
        error
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Streaming {
    /// What the client sent, as it came.
    fn poll_sent(&mut self, context: &mut Context<'_>) -> Polled {
        let Poll::Ready(polled) = Pin::new(&mut self.upload).poll_frame(context) else {
            return self
                .stall
                .poll_waiting(context)
                .map(|()| Some(Err(self.progress.fail(BodyError::Stalled))));
        };
        self.stall.progressed();
        Poll::Ready(polled.map(|frame| frame.map_err(|error| self.progress.fail(error))))
    }

    fn poll_unchecked(&mut self, context: &mut Context<'_>) -> Polled {
        let polled = std::task::ready!(self.poll_sent(context));
        if polled.is_none() || self.upload.is_end_stream() && !matches!(polled, Some(Err(_))) {
            self.progress.finish();
        }
        Poll::Ready(polled.map(|frame| {
            frame.map(|frame| match frame.into_trailers() {
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
            let Some(checked) = &mut self.checked else {
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
            let Some(checked) = &mut self.checked else {
                continue;
            };
            let data = polled.and_then(|frame| frame.into_data().ok());
            let judged = data.map_or(Ok(()), |data| checked.push(data));
            let judged = judged.and_then(|()| if is_last { checked.end() } else { Ok(()) });
            if let Err(fault) = judged {
                return Poll::Ready(Some(Err(self.progress.fail(fault.into()))));
            }
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        match &mut self.0 {
            Sent::Nothing => Poll::Ready(None),
            Sent::Streaming(body) => body.poll_checked(context),
            Sent::Read(bytes, _) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Sent::Nothing => true,
            Sent::Streaming(body) => match &body.checked {
                Some(checked) => checked.is_over(),
                None => body.upload.is_end_stream(),
            },
            Sent::Read(bytes, _) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Sent::Nothing => SizeHint::with_exact(0),
            Sent::Streaming(body) => {
                let to_come = body.upload.size_hint();
                match &body.checked {
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
            Sent::Read(bytes, _) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}
