//! HTTP/2 over TLS, frame by frame (RFC 9113), for what no client library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::raw::connect;
use super::soon;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// One frame. The stream is 0 for what is about the connection.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A request's head, compressed with nothing but the static table (RFC 7541, appendix A).
pub(crate) fn head(method: &str, authority: &str, path: &str) -> Vec<u8> {
    let method = match method {
        "GET" => 0x82,
        "POST" => 0x83,
        other => panic!("{other} is not in the table"),
    };
    let text = |name: u8, value: &str| {
        let length = u8::try_from(value.len()).unwrap();
        assert!(length < 0x7f, "a length of one byte");
        [&[name, length], value.as_bytes()].concat()
    };
    [vec![method, 0x87], text(1, authority), text(4, path)].concat()
}

/// A connection whose settings are exchanged.
pub(crate) struct Frames {
    reader: ReadHalf<TlsStream<TcpStream>>,
    writer: WriteHalf<TlsStream<TcpStream>>,
}

impl Frames {
    pub(crate) async fn connect(address: SocketAddr, authority: &str, sni: &str) -> Self {
        let stream = connect(address, authority, sni, b"h2").await;
        let (reader, mut writer) = tokio::io::split(stream);
        writer
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        writer.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        writer.flush().await.unwrap();
        Self { reader, writer }
    }

    /// Sends one thing after the other, so many at a time, until the gateway closes the connection: how many it took.
    /// `None` if it takes as many as `limit`. What the gateway sends is read and forgotten.
    pub(crate) async fn flood(
        self,
        at_a_time: usize,
        limit: usize,
        next: impl Fn(usize) -> Vec<u8>,
    ) -> Option<usize> {
        let Self {
            mut reader,
            mut writer,
        } = self;
        let closed = tokio::spawn(async move {
            let mut buffer = vec![0; 16 << 10];
            while reader.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
        });
        let mut sent = 0;
        while sent < limit && !closed.is_finished() {
            let bytes: Vec<u8> = (sent..sent + at_a_time).flat_map(&next).collect();
            sent += at_a_time;
            let flushed = async {
                writer.write_all(&bytes).await?;
                writer.flush().await
            };
            if soon(flushed).await.is_err() {
                break;
            }
        }
        if sent >= limit && !closed.is_finished() {
            return None;
        }
        soon(closed).await.unwrap();
        Some(sent)
    }
}
