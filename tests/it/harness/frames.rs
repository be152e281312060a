//! HTTP/2 over TLS, frame by frame (RFC 9113), for what no client library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
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
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Encodes a frame. Stream 0 is the connection.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A request head, compressed with the static table only (RFC 7541, appendix A).
pub(crate) fn head(method: &str, authority: &str, path: &str) -> Vec<u8> {
    let text = |name: u8, value: &str| [vec![name], string(value)].concat();
    let method = match method {
        "GET" => vec![0x82],
        "POST" => vec![0x83],
        other => text(2, other),
    };
    [method, vec![0x87], text(1, authority), text(4, path)].concat()
}

/// A field as literal name and value (RFC 7541, section 6.2.2).
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    [vec![0], string(name), string(value)].concat()
}

/// A string literal without Huffman coding (RFC 7541, sections 5.1 and 5.2).
fn string(text: &str) -> Vec<u8> {
    const ONE_BYTE: usize = 0x7f;
    let mut coded = Vec::new();
    if text.len() < ONE_BYTE {
        coded.push(u8::try_from(text.len()).unwrap());
    } else {
        coded.push(0x7f);
        let mut rest = text.len() - ONE_BYTE;
        while rest >= 0x80 {
            coded.push(u8::try_from(rest % 0x80).unwrap() | 0x80);
            rest /= 0x80;
        }
        coded.push(u8::try_from(rest).unwrap());
    }
    coded.extend_from_slice(text.as_bytes());
    coded
}

/// What was received on a stream.
#[derive(Debug, Default)]
pub(crate) struct H2Response {
    /// The first byte of its head: the status, if it is in the static table.
    pub(crate) status: u8,
    pub(crate) body: Vec<u8>,
    /// `END_STREAM` was received.
    pub(crate) is_whole: bool,
    /// `RST_STREAM` was received, with this code.
    pub(crate) reset: Option<u32>,
}

/// Reads a frame: kind, flags, stream and payload. `None` at the end of the connection.
pub(crate) async fn next(reader: &mut (impl AsyncRead + Unpin)) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await.ok()?;
    let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
    let length = usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).unwrap();
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload).await.ok()?;
    Some((kind, flags, u32::from_be_bytes([s0, s1, s2, s3]), payload))
}

/// A connection whose settings are exchanged.
pub(crate) struct H2Connection {
    reader: ReadHalf<TlsStream<TcpStream>>,
    writer: WriteHalf<TlsStream<TcpStream>>,
}

impl H2Connection {
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

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.writer.write_all(bytes.as_ref()).await.unwrap();
        self.writer.flush().await.unwrap();
    }

    /// Reads until the response on this stream ends, or is reset.
    pub(crate) async fn answer(&mut self, stream: u32) -> H2Response {
        let mut answered = H2Response::default();
        while !answered.is_whole && answered.reset.is_none() {
            let frame = soon(next(&mut self.reader)).await;
            let (kind, flags, of, payload) = frame.expect("the connection lasts");
            if of != stream {
                continue;
            }
            match kind {
                HEADERS if answered.status == 0 => answered.status = payload[0],
                DATA => answered.body.extend(payload),
                RST_STREAM => answered.reset = Some(u32::from_be_bytes(payload.try_into().unwrap())),
                _ => {}
            }
            answered.is_whole |= matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0;
        }
        answered
    }

    /// Reads until a frame of this kind arrives.
    pub(crate) async fn until(&mut self, kind: u8) {
        while soon(next(&mut self.reader))
            .await
            .expect("the connection lasts")
            .0
            != kind
        {}
    }

    /// Whether a stream is reset before a ping is acknowledged.
    pub(crate) async fn is_reset(&mut self, stream: u32) -> bool {
        self.send(frame(PING, 0, 0, &[1; 8])).await;
        loop {
            match soon(next(&mut self.reader)).await.expect("the connection lasts") {
                (RST_STREAM, _, of, _) if of == stream => return true,
                (PING, 1, ..) => return false,
                _ => {}
            }
        }
    }

    /// Sends steps in batches until the gateway closes the connection; returns how many it took. `None` if it
    /// takes `limit` of them. Discards what the gateway sends.
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
