//! Opens connections to servers: TCP, TLS or Unix sockets, with HTTP/1.1 or HTTP/2.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::aws_lc_rs;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::connection_limit::OpenConnection;
use super::early_response::EarlyResponseStream;
use super::{RequestBody, UpstreamBuildError};
use crate::certified_key;
use crate::config::{CertificateConfig, Endpoint, UpstreamConfig, UpstreamUrl};
use crate::trust_anchors::read_trust_anchors;

/// Most bytes of a response head in HTTP/2; the same as hyper's limit in HTTP/1.
const RESPONSE_HEAD: u32 = 400 << 10;

/// How a server is reached, as its URL says. TLS settings are part of what needs them, so that no `https` server is ever
/// spoken to in the clear.
pub(super) enum ServerTransport {
    Http1(Http1Transport),
    /// HTTP/2 without TLS, which the server is known to speak (RFC 9113, section 3.3).
    Http2(Endpoint),
}

/// What HTTP/1.1 is spoken over.
pub(super) enum Http1Transport {
    Tcp(Endpoint),
    Tls(Endpoint, ServerTls),
    Unix(PathBuf),
}

/// TLS settings of one server.
pub(super) struct ServerTls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// TLS settings by the files that they are made of; each is read once.
#[derive(Default)]
pub(super) struct TlsSettings {
    made: HashMap<TlsFiles, Arc<ClientConfig>>,
}

/// What TLS settings are made of.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct TlsFiles {
    /// Trusted roots; `None`: those of the system.
    authority: Option<PathBuf>,
    /// The client's certificate and its key.
    certificate: Option<(PathBuf, PathBuf)>,
}

impl TlsSettings {
    /// Returns how a server is reached; over TLS as the settings of its upstream say.
    pub(super) fn transport(
        &mut self,
        server: &UpstreamUrl,
        settings: Option<&UpstreamConfig>,
    ) -> Result<ServerTransport, UpstreamBuildError> {
        let endpoint = match server {
            UpstreamUrl::H2c(endpoint) => return Ok(ServerTransport::Http2(endpoint.clone())),
            UpstreamUrl::Http(endpoint) => {
                return Ok(ServerTransport::Http1(Http1Transport::Tcp(endpoint.clone())));
            }
            UpstreamUrl::Unix(path) => {
                return Ok(ServerTransport::Http1(Http1Transport::Unix(path.clone())));
            }
            UpstreamUrl::Https(endpoint) => endpoint,
        };
        let name = settings.and_then(|settings| settings.server_name.as_deref());
        let name = name.unwrap_or_else(|| bare(endpoint)).to_owned();
        let name = ServerName::try_from(name).map_err(|_| UpstreamBuildError::Server {
            name: server.to_string(),
            source: crate::config::UpstreamUrlError::Host,
        })?;
        let certificate = settings.and_then(|settings| settings.client_certificate.as_ref());
        let files = TlsFiles {
            authority: settings.and_then(|settings| settings.ca.clone()),
            certificate: certificate.map(|pair| (pair.cert.clone(), pair.key.clone())),
        };
        let config = if let Some(config) = self.made.get(&files) {
            config.clone()
        } else {
            let roots = files.authority.as_deref().map_or_else(system_roots, file_roots)?;
            let config = client_config(roots, certificate)?;
            self.made.insert(files, config.clone());
            config
        };
        let tls = ServerTls {
            connector: config.into(),
            name,
        };
        Ok(ServerTransport::Http1(Http1Transport::Tls(endpoint.clone(), tls)))
    }
}

/// Opens a transport connection, without TLS, and closes it.
pub(super) async fn probe(transport: &ServerTransport) -> io::Result<()> {
    match transport {
        ServerTransport::Http1(Http1Transport::Tcp(endpoint) | Http1Transport::Tls(endpoint, _))
        | ServerTransport::Http2(endpoint) => tcp(endpoint).await.map(drop),
        ServerTransport::Http1(Http1Transport::Unix(path)) => UnixStream::connect(path).await.map(drop),
    }
}

/// Opens an HTTP/1.1 connection. `open` is held until the connection ends.
///
/// `fields` is the most fields that the head of a response may have.
pub(super) async fn http1(
    transport: &Http1Transport,
    fields: usize,
    open: Option<OpenConnection>,
) -> io::Result<http1::SendRequest<RequestBody>> {
    match transport {
        Http1Transport::Unix(path) => http1_over(UnixStream::connect(path).await?, fields, open).await,
        Http1Transport::Tcp(endpoint) => http1_over(tcp(endpoint).await?, fields, open).await,
        Http1Transport::Tls(endpoint, tls) => {
            let stream = tcp(endpoint).await?;
            let stream = tls.connector.connect(tls.name.clone(), stream).await?;
            http1_over(stream, fields, open).await
        }
    }
}

/// A connection of HTTP/2. Once its last clone is dropped, what still waits in it to be sent is dropped too: a server
/// that allows no streams would hold it for as long as it likes. Streams that were begun go on to their end.
#[derive(Clone)]
pub(super) struct Http2Connection {
    pub(super) sender: http2::SendRequest<RequestBody>,
    streams: Arc<AtomicUsize>,
    refresh: Arc<Notify>,
    _dispatch: Arc<AbortOnDropHandle<()>>,
}

impl Http2Connection {
    /// Has [`Self::streams`] follow what the server has allowed by now.
    pub(super) fn refresh_streams(&self) {
        self.refresh.notify_one();
    }

    /// How many streams the server allows at one time (RFC 9113, section 5.1.2), as of the last request or response.
    pub(super) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }
}

/// Opens a connection that speaks HTTP/2 from the first byte.
pub(super) async fn http2(endpoint: &Endpoint) -> io::Result<Http2Connection> {
    let stream = tcp(endpoint).await?;
    let (sender, mut connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(4 << 20)
        .max_header_list_size(RESPONSE_HEAD)
        .keep_alive_interval(std::time::Duration::from_secs(30))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let streams = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
    let refresh = Arc::<Notify>::default();
    let (allowed, asked) = (streams.clone(), refresh.clone());
    let dispatch = tokio::spawn(async move {
        loop {
            // Polled for every request as well; the server's settings alone do not wake the connection.
            let polled = poll_fn(|context| {
                let polled = Pin::new(&mut connection).poll(context);
                allowed.store(connection.current_max_send_streams(), Ordering::Relaxed);
                polled
            });
            tokio::select! {
                ended = polled => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection to a server ended");
                    }
                    return;
                }
                () = asked.notified() => {}
            }
        }
    });
    Ok(Http2Connection {
        sender,
        streams,
        refresh,
        _dispatch: Arc::new(AbortOnDropHandle::new(dispatch)),
    })
}

async fn http1_over<S>(
    stream: S,
    fields: usize,
    open: Option<OpenConnection>,
) -> io::Result<http1::SendRequest<RequestBody>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_headers(fields)
        .handshake(TokioIo::new(EarlyResponseStream::new(stream)))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to a server ended");
        }
        drop(open);
    });
    Ok(sender)
}

async fn tcp(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((bare(endpoint), endpoint.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Returns the host without the brackets of an IPv6 address.
fn bare(endpoint: &Endpoint) -> &str {
    let name = endpoint.host.as_str();
    name.strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name)
}

fn client_config(
    roots: RootCertStore,
    certificate: Option<&CertificateConfig>,
) -> Result<Arc<ClientConfig>, UpstreamBuildError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    #[expect(clippy::expect_used, reason = "the provider speaks these versions")]
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS 1.2 and 1.3");
    let builder = builder.with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let pair = certified_key::load(files, &provider)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn file_roots(path: &Path) -> Result<RootCertStore, UpstreamBuildError> {
    let anchors = read_trust_anchors(path).map_err(|error| UpstreamBuildError::Authority {
        path: path.to_owned(),
        error,
    })?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(anchors);
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, UpstreamBuildError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(UpstreamBuildError::SystemAuthorities(reasons.join("; ")));
    }
    Ok(roots)
}
