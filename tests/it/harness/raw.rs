//! A connection on which a test sends raw bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::soon;

/// HTTP/1.1 over TLS, by hand.
pub(crate) struct Raw {
    pub(crate) stream: TlsStream<TcpStream>,
    /// What was received after the last response that was read.
    rest: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr, authority: &str, sni: &str) -> Self {
        Self {
            stream: connect(address, authority, sni, b"http/1.1").await,
            rest: Vec::new(),
        }
    }

    /// Handshakes over an existing connection.
    pub(crate) async fn over(socket: TcpStream, authority: &str, sni: &str) -> Self {
        Self {
            stream: shake_hands(socket, authority, sni, b"http/1.1").await,
            rest: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Reads a response; returns status and head. Its body must have a length or be absent.
    pub(crate) async fn answer(&mut self) -> (u16, String) {
        let (status, head, _) = self.answer_with_body().await;
        (status, head)
    }

    pub(crate) async fn answer_with_body(&mut self) -> (u16, String, String) {
        let head = self.head().await;
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            })
            .unwrap_or(0);
        while self.rest.len() < length {
            assert!(self.read().await, "the body ends early");
        }
        let body = String::from_utf8(self.rest.drain(..length).collect()).unwrap();
        (status(&head), head, body)
    }

    /// Reads the next head only.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            if let Some(end) = memchr::memmem::find(&self.rest, b"\r\n\r\n") {
                let head = self.rest.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            assert!(
                self.read().await,
                "no answer: {:?}",
                String::from_utf8_lossy(&self.rest)
            );
        }
    }

    /// Reads until the gateway closes the connection.
    pub(crate) async fn until_closed(&mut self) -> String {
        while self.read().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()
    }

    /// Reads until `count` bytes were received since the last response.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.rest.len() < count {
            assert!(self.read().await, "the connection ends early");
        }
        self.rest.drain(..count).collect()
    }

    async fn read(&mut self) -> bool {
        let mut buffer = [0; 8192];
        // A cut connection ends like a closed one.
        let count = soon(self.stream.read(&mut buffer)).await.unwrap_or(0);
        self.rest.extend_from_slice(&buffer[..count]);
        count > 0
    }
}

/// Opens a connection that negotiates this protocol by ALPN.
pub(super) async fn connect(
    address: SocketAddr,
    authority: &str,
    sni: &str,
    protocol: &[u8],
) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(address).await.unwrap();
    shake_hands(socket, authority, sni, protocol).await
}

async fn shake_hands(socket: TcpStream, authority: &str, sni: &str, protocol: &[u8]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = ServerName::try_from(sni.to_owned()).unwrap();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, socket);
    soon(connected).await.unwrap()
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}
