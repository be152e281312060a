//! The stream between socket and hyper, with the limits that hyper does not have.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::connection::LAST_CALL;
use super::connection_state::ConnectionState;
use super::h2_flood::FrameLimiter;
use super::head_inspector::HeadInspector;
use super::library_errors::{ErrorTagger, TaggedResponse};
use crate::upstream::{IdleTimeout, LINGER};

/// Wraps a connection's stream. Bounds the time of a head from its first byte and of a write without
/// progress, inspects heads and frames, and lingers at the close: closing while the client still sends would
/// reset the connection and lose the response.
#[derive(Debug)]
pub(super) struct LimitedIo<S> {
    stream: S,
    state: Arc<ConnectionState>,
    protocol: Protocol,
    head: Deadline,
    write: IdleTimeout,
    /// Bytes written so far.
    written: u64,
    tagger: Option<ErrorTagger>,
    leaving: Option<TaggedResponse>,
    linger: Option<Pin<Box<Sleep>>>,
}

/// What inspects the incoming bytes.
#[derive(Debug)]
enum Protocol {
    Http1(HeadInspector),
    Http2(FrameLimiter),
}

/// A deadline that is seldom reached; its timer is only created when polled.
#[derive(Debug)]
struct Deadline {
    limit: Duration,
    at: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<S> LimitedIo<S> {
    /// Wraps an HTTP/1 stream. The first head must be complete within `head` of now.
    pub(super) fn http1(stream: S, state: Arc<ConnectionState>, head: Duration, idle: Duration) -> Self {
        let protocol = Protocol::Http1(HeadInspector::default());
        Self::new(stream, state, head, idle, protocol)
    }

    /// Wraps an HTTP/2 stream. Its first bytes must arrive within `head`, and each header block within `head`
    /// of its first byte; useless frames are limited.
    /// `is_of_proxy` says whether clients of a trusted proxy share the connection.
    pub(super) fn http2(
        stream: S,
        state: Arc<ConnectionState>,
        head: Duration,
        idle: Duration,
        is_of_proxy: bool,
    ) -> Self {
        let frames = FrameLimiter::new(is_of_proxy);
        Self::new(stream, state, head, idle, Protocol::Http2(frames))
    }

    fn new(
        stream: S,
        state: Arc<ConnectionState>,
        head: Duration,
        idle: Duration,
        protocol: Protocol,
    ) -> Self {
        Self {
            stream,
            state,
            protocol,
            head: Deadline {
                limit: head,
                at: Some(Instant::now() + head),
                sleep: None,
            },
            write: IdleTimeout::new(idle),
            written: 0,
            tagger: None,
            leaving: None,
            linger: None,
        }
    }

    /// Adds request ids to the responses that hyper sends by itself.
    pub(super) fn naming(mut self, tagger: ErrorTagger) -> Self {
        self.tagger = Some(tagger);
        self
    }

    fn inspect(&mut self, bytes: &[u8]) -> io::Result<()> {
        let inspector = match &mut self.protocol {
            Protocol::Http1(inspector) => inspector,
            Protocol::Http2(frames) => {
                let looked = frames.look(bytes, self.state.begun(), self.written);
                if !frames.is_in_head() {
                    self.head.at = None;
                } else if self.head.at.is_none() {
                    self.head.at = Some(Instant::now() + self.head.limit);
                }
                return looked.map_err(|flood| io::Error::new(io::ErrorKind::QuotaExceeded, flood));
            }
        };
        // A head that arrives with the end of a body is not inspected, and the connection closes after its
        // response. To inspect it, this code would need its own reader of lengths and chunks; where that
        // differed from hyper's, part of a body would pass for a head. Only clients that pipeline are
        // affected; they must retry requests without a response (RFC 9112, section 9.3.2).
        if bytes.is_empty() || self.state.is_in_body() {
            return Ok(());
        }
        if let Some(seen) = inspector.inspect(bytes) {
            self.state.see(seen);
            self.head.at = None;
        } else {
            self.state.see_beginning();
            self.head
                .at
                .get_or_insert_with(|| Instant::now() + self.head.limit);
        }
        Ok(())
    }

    /// Whether a head has arrived, at least in part, whose request has not begun.
    fn awaits_request(&self) -> bool {
        self.head.at.is_some() || self.state.has_seen()
    }

    fn count(&mut self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(sent)) = polled {
            self.written = self.written.saturating_add(*sent as u64);
        }
    }

    fn bound_write<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write.progressed();
            return polled;
        }
        self.write
            .poll_waiting(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> LimitedIo<S> {
    /// Whether the bytes are an error response of hyper's own, which is then written in its rewritten form.
    fn is_nameless(&mut self, bytes: &[u8]) -> bool {
        if self.leaving.is_none() && self.awaits_request() {
            self.leaving = self.tagger.as_ref().and_then(|unreadable| unreadable.tag(bytes));
        }
        self.leaving.is_some()
    }

    fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some(leaving) = &self.leaving
            && !leaving.rest().is_empty()
        {
            let polled = Pin::new(&mut self.stream).poll_write(context, leaving.rest());
            let sent = ready!(self.bound_write(context, polled))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if let Some(leaving) = &mut self.leaving {
                leaving.sent(sent);
            }
        }
        let done = self.leaving.take();
        Poll::Ready(Ok(done.map_or(0, |leaving| leaving.stands_for())))
    }
}

impl Deadline {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LimitedIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.inspect(&buffer.filled()[before..])?;
        }
        // A head that trickles in makes every read ready and is never complete.
        if self.head.at.is_some() && self.head.poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for LimitedIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_nameless(bytes) {
            return self.poll_leave(context);
        }
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(&polled);
        self.bound_write(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [bytes] = slices
            && self.is_nameless(bytes)
        {
            return self.poll_leave(context);
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.count(&polled);
        self.bound_write(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.bound_write(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        let lingers = if self.state.has_unread() {
            LINGER
        } else if self.state.is_ending() {
            LAST_CALL
        } else {
            return Poll::Ready(Ok(()));
        };
        let Self { stream, linger, .. } = &mut *self;
        let linger = linger.get_or_insert_with(|| Box::pin(sleep(lingers)));
        if linger.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [0; 16 << 10];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            if ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer)).is_err()
                || buffer.filled().is_empty()
            {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::super::head_inspector::HeadReport;
    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_mins(5);

    fn guarded() -> (DuplexStream, LimitedIo<DuplexStream>, Arc<ConnectionState>) {
        let (client, server) = duplex(1024);
        let conversation = Arc::new(ConnectionState::default());
        let guard = LimitedIo::http1(server, conversation.clone(), HEAD, IDLE);
        (client, guard, conversation)
    }

    async fn read(guard: &mut LimitedIo<DuplexStream>) -> io::Result<usize> {
        guard.read(&mut [0; 512]).await
    }

    #[tokio::test(start_paused = true)]
    async fn s48_a_head_that_trickles_in_is_cut_after_ten_seconds() {
        let (mut client, mut guard, _) = guarded();
        let start = Instant::now();
        let trickle = tokio::spawn(async move {
            while client.write_all(b"G").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let error = loop {
            match read(&mut guard).await {
                Ok(0) => panic!("the client is still there"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(
            (10..=11).contains(&start.elapsed().as_secs()),
            "{:?}",
            start.elapsed()
        );
        drop(guard);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn s48_half_a_preface_is_cut_after_ten_seconds() {
        for half in ["P", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
            let (mut client, server) = duplex(1024);
            let mut guard = LimitedIo::http2(server, Arc::default(), HEAD, IDLE, false);
            client.write_all(half.as_bytes()).await.unwrap();
            let start = Instant::now();
            read(&mut guard).await.unwrap();
            let error = read(&mut guard).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{half:?}");
            assert!((10..=11).contains(&start.elapsed().as_secs()), "{half:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn s48_half_a_head_over_http2_is_cut_after_ten_seconds() {
        let frame = |kind, flags, payload: &[u8]| {
            let length = u8::try_from(payload.len()).unwrap();
            [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
        };
        let (mut client, server) = duplex(1024);
        let mut guard = LimitedIo::http2(server, Arc::default(), HEAD, IDLE, false);
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        client.write_all(preface).await.unwrap();
        read(&mut guard).await.unwrap();
        // Between heads nothing is cut.
        let waits = tokio::time::timeout(Duration::from_mins(1), read(&mut guard)).await;
        assert!(waits.is_err());
        client.write_all(&frame(1, 0, b"half")).await.unwrap();
        let start = Instant::now();
        let trickle = tokio::spawn(async move {
            while client.write_all(&frame(9, 0, b"x")).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let error = loop {
            match read(&mut guard).await {
                Ok(0) => panic!("the client is still there"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((10..=11).contains(&start.elapsed().as_secs()));
        drop(guard);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn between_heads_and_in_bodies_nothing_is_cut() {
        let (mut client, mut guard, conversation) = guarded();
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        read(&mut guard).await.unwrap();
        let (turn, seen) = conversation.begin(true);
        assert_eq!(seen, Some(HeadReport::default()));
        let waits = async |guard: &mut LimitedIo<DuplexStream>| {
            tokio::time::timeout(Duration::from_mins(1), read(guard)).await
        };
        assert!(waits(&mut guard).await.is_err());
        client.write_all(b"a body\n\n").await.unwrap();
        read(&mut guard).await.unwrap();
        assert!(waits(&mut guard).await.is_err());
        drop(turn);
        assert!(waits(&mut guard).await.is_err());
        client.write_all(b"G").await.unwrap();
        read(&mut guard).await.unwrap();
        assert_eq!(
            waits(&mut guard).await.unwrap().unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_cut() {
        let (_client, mut guard, _) = guarded();
        let error = guard.write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_still_sends_can_read_its_answer() {
        let (mut client, mut guard, conversation) = guarded();
        let (turn, _) = conversation.begin(true);
        turn.leave_unread();
        let closing = tokio::spawn(async move {
            guard.write_all(b"answer").await.unwrap();
            guard.shutdown().await.unwrap();
        });
        client.write_all(&[0; 8192]).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        // It never stops: the time is bounded.
        while client.write_all(&[0; 512]).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        closing.await.unwrap();
    }
}
