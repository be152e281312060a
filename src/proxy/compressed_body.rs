//! An upstream's response body, compressed as it comes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::sync::OwnedSemaphorePermit;

use crate::compression::ContentEncoder;
use crate::upstream::{self, BodyError};

/// Bytes that are compressed at a time, and before other tasks have their turn: half a millisecond.
const PIECE: usize = 16 << 10;
const TURN: usize = 64 << 10;

/// Bytes of output that are worth a frame of their own, while more is coming.
const LEAST_OUTPUT: usize = 4 << 10;

/// A body that is compressed, with its trailers. Whenever the upstream pauses, all that it has sent so far goes out.
#[derive(Debug)]
pub(super) struct CompressedBody {
    source: upstream::ResponseBody,
    /// `None` once it has ended.
    stream: Option<CompressionStream>,
    trailers: Option<HeaderMap>,
}

/// The encoder of a body, which a part of the budget is taken for.
#[derive(Debug)]
struct CompressionStream {
    encoder: ContentEncoder,
    /// What has come, and is not compressed yet.
    uncompressed: Bytes,
    /// Whether the encoder may hold back something.
    is_unflushed: bool,
    /// Bytes that were compressed in this turn.
    worked: usize,
    _memory: OwnedSemaphorePermit,
}

impl CompressedBody {
    pub(super) fn new(
        source: upstream::ResponseBody,
        encoder: ContentEncoder,
        memory: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            source,
            stream: Some(CompressionStream {
                encoder,
                uncompressed: Bytes::new(),
                is_unflushed: false,
                worked: 0,
                _memory: memory,
            }),
            trailers: None,
        }
    }

    /// Ends the content; returns the rest of it.
    fn finish(&mut self) -> Option<Result<Bytes, io::Error>> {
        let stream = self.stream.take()?;
        Some(stream.encoder.finish())
    }
}

impl CompressionStream {
    /// Compresses a piece; returns what came out, if anything did.
    fn compress_piece(&mut self) -> Result<Option<Bytes>, io::Error> {
        let piece = self.uncompressed.split_to(self.uncompressed.len().min(PIECE));
        self.encoder.write(&piece)?;
        self.is_unflushed = true;
        self.worked += piece.len();
        Ok(self.encoder.take(LEAST_OUTPUT))
    }

    fn flush(&mut self) -> Result<Option<Bytes>, io::Error> {
        self.encoder.flush()?;
        self.is_unflushed = false;
        Ok(self.encoder.take(1))
    }
}

impl Body for CompressedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let ended = loop {
            let Some(stream) = &mut this.stream else {
                return Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            };
            let came_out = if stream.uncompressed.is_empty() {
                match Pin::new(&mut this.source).poll_frame(context) {
                    Poll::Pending => {
                        stream.worked = 0;
                        if !stream.is_unflushed {
                            return Poll::Pending;
                        }
                        stream.flush()
                    }
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => {
                            stream.uncompressed = data;
                            continue;
                        }
                        Err(frame) => {
                            this.trailers = frame.into_trailers().ok();
                            break this.finish();
                        }
                    },
                    Poll::Ready(Some(Err(error))) => {
                        this.stream = None;
                        return Poll::Ready(Some(Err(error)));
                    }
                    Poll::Ready(None) => break this.finish(),
                }
            } else if stream.worked >= TURN {
                stream.worked = 0;
                context.waker().wake_by_ref();
                return Poll::Pending;
            } else {
                stream.compress_piece()
            };
            match came_out {
                Ok(Some(data)) => break Some(Ok(data)),
                Ok(None) => {}
                Err(error) => break Some(Err(error)),
            }
        };
        Poll::Ready(ended.map(|came_out| match came_out {
            Ok(data) => Ok(Frame::data(data)),
            Err(error) => {
                this.stream = None;
                this.trailers = None;
                Err(BodyError::Compression(error))
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_none() && self.trailers.is_none()
    }
}
