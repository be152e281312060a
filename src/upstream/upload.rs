//! The body of a client's request, drained if it is dropped early.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::Version;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::{BodyError, IncomingBody};

/// How long a client that got an early response may go on sending.
pub const LINGER: Duration = Duration::from_secs(5);

/// Most bytes of one body that are discarded, beyond what the flow-control window lets in.
const DISCARDED: usize = 16 << 20;

/// The body of a client's request.
///
/// Dropped early in HTTP/2, it is drained within bounds of time and size: many clients lose the response if
/// their stream is reset while they send (RFC 9113, section 8.1, forbids that to them). In HTTP/1,
/// `LimitedIo` lingers instead.
#[derive(Debug)]
pub struct Upload(Option<IncomingBody>);

impl Upload {
    /// Wraps the body of a request of this version.
    pub fn new(incoming: Incoming, version: Version) -> Self {
        Self(Some(if version == Version::HTTP_2 {
            IncomingBody::http2(incoming)
        } else {
            IncomingBody::http1(incoming)
        }))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(body) = self.0.take()
            && body.is_http2()
            && !body.is_end_stream()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(timeout(LINGER, discard(body)));
        }
    }
}

async fn discard<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = DISCARDED;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Buf::remaining)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream;
    use http_body_util::StreamBody;

    use super::*;

    #[tokio::test]
    async fn what_is_thrown_away_has_an_end() {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = taken.clone();
        let piece = Bytes::from(vec![0; 1 << 20]);
        let endless = stream::repeat_with(move || {
            counted.fetch_add(piece.len(), Ordering::Relaxed);
            Ok::<_, Infallible>(Frame::data(piece.clone()))
        });
        discard(StreamBody::new(endless)).await;
        assert_eq!(taken.load(Ordering::Relaxed), DISCARDED + (1 << 20));
    }
}
