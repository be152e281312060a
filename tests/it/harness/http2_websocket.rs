//! A WebSocket over HTTP/2 (RFC 8441), as bytes: the frames are the test's own.

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, Response, Version};

use super::{Running, raw, soon};

/// A connection over which streams are opened.
#[derive(Clone)]
pub(crate) struct Http2Client {
    sender: SendRequest<Bytes>,
    authority: String,
}

/// A stream that became a WebSocket.
pub(crate) struct Http2WebSocket {
    pub(crate) sender: SendStream<Bytes>,
    pub(crate) receiver: RecvStream,
    /// What was received and not read.
    rest: Vec<u8>,
}

impl Running {
    /// Opens a connection to a gateway that offers a WebSocket over HTTP/2.
    pub(crate) async fn http2_websockets(&self) -> Http2Client {
        let stream = raw::connect(
            self.address,
            &self.certificate_authority(),
            "gw.example.com",
            b"h2",
        )
        .await;
        let (sender, connection) = soon(h2::client::handshake(stream)).await.unwrap();
        tokio::spawn(async move {
            let _ = connection.await;
        });
        super::until(|| sender.is_extended_connect_protocol_enabled()).await;
        Http2Client {
            sender,
            authority: self.authority(),
        }
    }
}

impl Http2Client {
    /// Asks for a WebSocket; the response is the gateway's, and the stream what it opened, or its content.
    pub(crate) async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> (Response<()>, Http2WebSocket) {
        let uri = format!("https://{}{path}", self.authority);
        let mut request = Request::builder().method(Method::CONNECT).uri(uri);
        request = request.header("sec-websocket-version", "13");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.extension(Protocol::from_static("websocket"));
        self.send(request.body(()).unwrap()).await
    }

    /// Sends a head, and leaves the stream open.
    pub(crate) async fn send(&self, mut request: Request<()>) -> (Response<()>, Http2WebSocket) {
        *request.version_mut() = Version::HTTP_2;
        let mut ready = soon(self.sender.clone().ready()).await.unwrap();
        let (response, sender) = ready.send_request(request, false).unwrap();
        let (parts, receiver) = soon(response).await.unwrap().into_parts();
        let socket = Http2WebSocket {
            sender,
            receiver,
            rest: Vec::new(),
        };
        (Response::from_parts(parts, ()), socket)
    }
}

impl Http2WebSocket {
    pub(crate) fn send(&mut self, bytes: impl Into<Bytes>) {
        self.sender.send_data(bytes.into(), false).unwrap();
    }

    /// Sends nothing more.
    pub(crate) fn finish(&mut self) {
        self.sender.send_data(Bytes::new(), true).unwrap();
    }

    pub(crate) fn reset(&mut self) {
        self.sender.send_reset(Reason::CANCEL);
    }

    /// Reads so many bytes.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.rest.len() < count {
            assert!(self.read().await, "the stream ends early");
        }
        self.rest.drain(..count).collect()
    }

    /// Reads until the gateway ends or resets the stream.
    pub(crate) async fn until_closed(&mut self) -> Vec<u8> {
        while self.read().await {}
        std::mem::take(&mut self.rest)
    }

    async fn read(&mut self) -> bool {
        match soon(self.receiver.data()).await {
            Some(Ok(piece)) => {
                let _ = self.receiver.flow_control().release_capacity(piece.len());
                self.rest.extend(piece);
                true
            }
            Some(Err(_)) | None => false,
        }
    }
}
