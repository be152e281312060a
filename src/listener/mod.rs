//! Where connections come in: bind, accept, TLS, and who is at the other end.

mod authority;
mod certificates;
mod signals;
mod tls;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use authority::AuthorityError;
pub use certificates::CertificateError;
pub use signals::stop_on_termination;

use crate::clock::Clock;
use crate::config::Config;
use crate::request::{Client, Host};

/// How long the accept loop rests when the machine has no descriptors left.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// A connection whose handshake is done.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: TlsStream<TcpStream>,
    /// Who is at the other end.
    pub client: Client,
    /// The name that the client asked for in its handshake, if any.
    pub sni: Option<Host>,
    /// Whether both sides agreed on HTTP/2 (ALPN, RFC 7301).
    pub http2: bool,
}

/// Why the gateway cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// An address is taken, or not this machine's.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, std::io::Error),
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The local authority cannot be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Bound sockets.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    handshake: Duration,
    drain: Duration,
    connections: Arc<Semaphore>,
}

impl Listener {
    /// Binds every `listen.https` address; a port of 0 takes any.
    pub async fn bind(config: &Config) -> Result<Self, ListenError> {
        let mut sockets = Vec::new();
        let mut addresses = Vec::new();
        for &address in &config.listen.https {
            let failed = |error| ListenError::Bind(address, error);
            let socket = TcpListener::bind(address).await.map_err(failed)?;
            addresses.push(socket.local_addr().map_err(failed)?);
            sockets.push(socket);
        }
        Ok(Self {
            sockets,
            addresses,
            handshake: config.timeouts.handshake.0,
            drain: config.timeouts.drain.0,
            connections: Arc::new(Semaphore::new(config.limits.connections)),
        })
    }

    /// The addresses that were bound.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves connections until `stop`, then waits for those under way, at most `timeouts.drain`.
    pub async fn run<F, S>(self, tls: Tls, serve: F, stop: CancellationToken)
    where
        F: Fn(Accepted) -> S + Clone + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let tasks = TaskTracker::new();
        let mut loops = tokio::task::JoinSet::new();
        for socket in self.sockets {
            let (acceptor, serve, tasks) = (tls.acceptor.clone(), serve.clone(), tasks.clone());
            let (limit, handshake) = (self.connections.clone(), self.handshake);
            let stop = stop.clone();
            loops.spawn(async move {
                loop {
                    let Ok(permit) = limit.clone().acquire_owned().await else {
                        return;
                    };
                    let (stream, peer) = tokio::select! {
                        () = stop.cancelled() => return,
                        accepted = socket.accept() => match accepted {
                            Ok(accepted) => accepted,
                            Err(error) => {
                                tracing::warn!(%error, "a connection could not be accepted");
                                tokio::time::sleep(EXHAUSTED).await;
                                continue;
                            }
                        },
                    };
                    let (acceptor, serve) = (acceptor.clone(), serve.clone());
                    tasks.spawn(async move {
                        let shaken =
                            tokio::time::timeout(handshake, shake_hands(&acceptor, stream, peer)).await;
                        if let Ok(Some(accepted)) = shaken {
                            serve(accepted).await;
                        }
                        drop(permit);
                    });
                }
            });
        }
        while loops.join_next().await.is_some() {}
        tasks.close();
        if tokio::time::timeout(self.drain, tasks.wait()).await.is_err() {
            tracing::warn!("connections were still open when the time to drain was over");
        }
    }
}

/// What TLS is spoken with.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    /// Whether the certificates come from the operator, not from the local authority.
    pub real: bool,
}

impl Tls {
    /// Loads the configured certificates, or makes the local authority's under `certs`.
    pub fn load(config: &Config, certs: &Path, hosts: &[Host], clock: &Clock) -> Result<Self, ListenError> {
        let real = !config.tls.certificates.is_empty();
        let keys = if real {
            certificates::load(&config.tls.certificates)?
        } else {
            let local = authority::ensure(certs, hosts, clock)?;
            certificates::load(&[local])?
        };
        let acceptor = TlsAcceptor::from(Arc::new(tls::server(config.tls.min_version, keys)?));
        Ok(Self { acceptor, real })
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("real", &self.real)
            .finish_non_exhaustive()
    }
}

async fn shake_hands(acceptor: &TlsAcceptor, stream: TcpStream, peer: SocketAddr) -> Option<Accepted> {
    stream.set_nodelay(true).ok()?;
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%peer, %error, "a handshake failed");
            return None;
        }
    };
    let session = stream.get_ref().1;
    let sni = session.server_name().and_then(|name| name.parse().ok());
    let http2 = session.alpn_protocol() == Some(b"h2");
    let client = Client {
        address: canonical(peer.ip()),
        through_trusted_proxy: false,
    };
    Some(Accepted {
        stream,
        client,
        sni,
        http2,
    })
}

/// An IPv4 address that arrived over an IPv6 socket is that IPv4 address.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
