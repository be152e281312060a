//! A client's connection, as the stages read and write it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// How HTTP/2 begins where it was not negotiated: no method of HTTP/1 has this name (RFC 9113, section 3.4).
const HTTP2_METHOD: &[u8] = b"PRI ";

/// How often the rest of so few bytes is looked for.
const LOOKS_EVERY: Duration = Duration::from_millis(10);

/// A connection: over TLS, or in the clear from a proxy that ended TLS.
#[derive(Debug)]
pub enum ClientStream {
    /// Over TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// From a proxy, over the network.
    Tcp(TcpStream),
    /// From a proxy of this machine.
    Unix(UnixStream),
}

/// A connection in the clear of which nothing was taken yet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Untouched<'s> {
    Tcp(&'s TcpStream),
    Unix(&'s UnixStream),
}

impl ClientStream {
    /// Whether a connection in the clear begins as HTTP/2 does. Takes nothing of it.
    pub(super) async fn begins_http2(&self) -> io::Result<bool> {
        match self {
            Self::Tls(_) => Ok(false),
            Self::Tcp(stream) => Untouched::Tcp(stream).begins_with(HTTP2_METHOD).await,
            Self::Unix(stream) => Untouched::Unix(stream).begins_with(HTTP2_METHOD).await,
        }
    }
}

impl Untouched<'_> {
    /// Whether it begins with these bytes, of which there are at most eight. Waits for as many as it takes to tell.
    pub(super) async fn begins_with(self, beginning: &[u8]) -> io::Result<bool> {
        let mut first = [0; 8];
        let first = &mut first[..beginning.len()];
        loop {
            let seen = self.peek(first).await?;
            if seen == 0 || first[..seen] != beginning[..seen] {
                return Ok(false);
            }
            if seen == beginning.len() {
                return Ok(true);
            }
            tokio::time::sleep(LOOKS_EVERY).await;
        }
    }

    async fn peek(self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.peek(bytes).await,
            Self::Unix(stream) => {
                let peek = || {
                    let (seen, _) = recv(stream, &mut *bytes, RecvFlags::PEEK)?;
                    Ok(seen)
                };
                stream.async_io(Interest::READABLE, peek).await
            }
        }
    }
}

/// Calls a method of the stream that there is.
macro_rules! delegate {
    ($stream:expr, $method:ident $(, $argument:expr)*) => {
        match $stream {
            Self::Tls(stream) => Pin::new(stream).$method($($argument),*),
            Self::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Self::Unix(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self.get_mut(), poll_read, context, buffer)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self.get_mut(), poll_write, context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self.get_mut(), poll_flush, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self.get_mut(), poll_shutdown, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self.get_mut(), poll_write_vectored, context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }
}
