//! Sockets, and the life of a connection until it is served.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::connection_slots::{Activity, ConnectionSlots};
use super::real_ip::is_trusted;
use super::redirect::Redirect;
use super::{ListenerTls, proxy_protocol};
use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::random::Random;
use crate::request::{ClientAddress, Host, Network, RequestIds};

/// Connections that wait in the system's queue for a place.
const BACKLOG: u32 = 1024;

/// How long nothing is accepted after the system failed to: it is short of files or memory, and asking at once again
/// would only burn the processor.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a connection without a place looks whether another one became idle.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// A connection whose handshake is done.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: TlsStream<TcpStream>,
    /// Who is at its other end.
    pub client: ClientAddress,
    /// The port that it came in at.
    pub port: u16,
    /// The name that the client asked for, if it asked for one that is a host's.
    pub sni: Option<Host>,
    /// Whether both sides agreed on HTTP/2 (ALPN, RFC 7301).
    pub http2: bool,
    /// Where requests are counted: a connection without any is closed when another one needs its place.
    pub activity: Arc<Activity>,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}")]
pub struct ListenError {
    address: SocketAddr,
    error: io::Error,
}

/// Why a connection has no handshake.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It begins with a letter, as methods of HTTP do; TLS begins with the number of a record's type (RFC 8446,
    /// section 5.1), which is none.
    #[error("it speaks HTTP in the clear")]
    Plaintext(TcpStream),
}

/// Sockets whose addresses are taken, and at which nobody is let in yet.
#[derive(Debug)]
pub struct BoundSockets {
    https: Vec<(TcpSocket, SocketAddr)>,
    http: Vec<(TcpSocket, SocketAddr)>,
    gate: Arc<ConnectionSettings>,
}

/// Sockets that take connections.
#[derive(Debug)]
pub struct Listener {
    https: Vec<TcpListener>,
    http: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    plain_addresses: Vec<SocketAddr>,
    gate: Arc<ConnectionSettings>,
}

/// What all connections share.
#[derive(Debug)]
pub struct ConnectionSettings {
    rules: ArcSwap<ConnectionRules>,
    places: Arc<Semaphore>,
    most: usize,
    occupants: Arc<ConnectionSlots>,
    metrics: Arc<Metrics>,
    /// Tells plain answers the time.
    clock: Clock,
    /// Names of plain requests.
    ids: RequestIds,
    /// The port of the first HTTPS address.
    port: Option<u16>,
}

/// What a connection is held to. A reload replaces them, for connections that come then.
#[derive(Debug)]
struct ConnectionRules {
    redirect: Redirect,
    trusted: Vec<IpNet>,
    handshake: Duration,
    header: Duration,
    drain: Duration,
}

impl BoundSockets {
    /// The HTTPS addresses, with their real ports.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.https.iter().map(|(_, address)| *address).collect()
    }

    /// Lets connections in, which wait until they are accepted.
    pub fn listen(self) -> Result<Listener, ListenError> {
        let Self { https, http, gate } = self;
        let addresses =
            |bound: &[(TcpSocket, SocketAddr)]| bound.iter().map(|(_, address)| *address).collect();
        Ok(Listener {
            addresses: addresses(&https),
            plain_addresses: addresses(&http),
            https: listen_all(https)?,
            http: listen_all(http)?,
            gate,
        })
    }
}

impl Listener {
    /// Binds all addresses of `[listen]` but `ops`. Port 0 takes any free one. Must run inside a tokio runtime.
    pub fn bind(
        config: &Config,
        clock: &Clock,
        random: &Random,
        metrics: Arc<Metrics>,
    ) -> Result<BoundSockets, ListenError> {
        let https = bind_all(&config.listen.https)?;
        let http = bind_all(&config.listen.http)?;
        let port = https.first().map(|(_, address)| address.port());
        let places = config.limits.connections.min(Semaphore::MAX_PERMITS);
        Ok(BoundSockets {
            gate: Arc::new(ConnectionSettings {
                rules: ArcSwap::from_pointee(ConnectionRules::new(config, port)),
                places: Arc::new(Semaphore::new(places)),
                most: places,
                occupants: Arc::default(),
                metrics,
                clock: clock.clone(),
                ids: RequestIds::new(random),
                port,
            }),
            https,
            http,
        })
    }

    /// The HTTPS addresses, with their real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The plain addresses, with their real ports.
    pub fn plain_addresses(&self) -> &[SocketAddr] {
        &self.plain_addresses
    }

    /// What connections share, for who reloads it while they are accepted.
    pub fn gate(&self) -> Arc<ConnectionSettings> {
        self.gate.clone()
    }

    /// Accepts until `stop`, each connection in a task of its own, which lasts as long as `serve` does. `serve` is to
    /// watch the same token and come to an end. Returns when all connections are done, or `timeouts.drain` after
    /// `stop`: connections that are left then are cut.
    pub async fn run<S, F>(self, tls: ListenerTls, serve: S, stop: CancellationToken)
    where
        S: Fn(Accepted) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let Self {
            https, http, gate, ..
        } = self;
        let mut loops = JoinSet::new();
        for listener in https {
            let (tls, serve) = (tls.clone(), serve.clone());
            let handle = move |gate: Arc<ConnectionSettings>, stream, peer, activity| {
                let (acceptor, serve) = (tls.acceptor(), serve.clone());
                async move {
                    if let Some(accepted) = gate.shake_hands(&acceptor, stream, peer, activity).await {
                        serve(accepted).await;
                    }
                }
            };
            loops.spawn(gate.clone().accept(listener, handle, stop.clone()));
        }
        for listener in http {
            let handle = |gate: Arc<ConnectionSettings>, stream, _, _| async move {
                let rules = gate.rules.load_full();
                rules
                    .redirect
                    .serve(stream, &gate.ids, &gate.clock, rules.header)
                    .await;
            };
            loops.spawn(gate.clone().accept(listener, handle, stop.clone()));
        }
        loops.spawn(tls.run_renewal(gate.metrics.clone(), stop));
        while let Some(ended) = loops.join_next().await {
            report_panic(ended);
        }
    }
}

impl ConnectionSettings {
    /// Holds connections that come from now on to another configuration. Addresses and `limits.connections` stay.
    pub fn reload(&self, config: &Config) {
        self.rules
            .store(Arc::new(ConnectionRules::new(config, self.port)));
    }

    /// One socket's loop.
    async fn accept<H, F>(self: Arc<Self>, listener: TcpListener, handle: H, stop: CancellationToken)
    where
        H: Fn(Arc<Self>, TcpStream, SocketAddr, Arc<Activity>) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut connections = JoinSet::new();
        let begin = |connections: &mut JoinSet<()>, place: OwnedSemaphorePermit, client, stream, peer| {
            let open = ConnectionGuard::count(self.metrics.clone());
            let place = Arc::new(place);
            let occupant = self.occupants.enter(client, Arc::downgrade(&place));
            let served = handle(self.clone(), stream, peer, occupant.activity.clone());
            connections.spawn(async move {
                let _ = occupant.evicted.run_until_cancelled(served).await;
                drop((place, open, occupant));
            });
        };
        // One is accepted before it has a place, as it says whose it is; further ones wait in the system's queue, where
        // they cost nothing.
        let mut waiting = None;
        loop {
            let next = async {
                if waiting.is_none() {
                    waiting = Some(listener.accept().await?);
                }
                let client = waiting.as_ref().and_then(|(_, peer)| self.network(*peer));
                let place = self.place(client).await;
                Ok::<_, io::Error>((place, client, waiting.take()))
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => report_panic(ended),
                accepted = next => match accepted {
                    Ok((Some(place), client, Some((stream, peer)))) => {
                        begin(&mut connections, place, client, stream, peer);
                    }
                    // One that may not wait is closed.
                    Ok(_) => {}
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "connections cannot be accepted");
                        let _ = timeout(PAUSE, stop.cancelled()).await;
                    }
                },
            }
        }
        for (stream, peer) in waiting.into_iter().chain(queued(listener)) {
            let Ok(place) = self.places.clone().try_acquire_owned() else {
                break;
            };
            begin(&mut connections, place, self.network(peer), stream, peer);
        }
        let deadline = Instant::now() + self.rules.load().drain;
        while let Ok(Some(ended)) = timeout_at(deadline, connections.join_next()).await {
            report_panic(ended);
        }
        if !connections.is_empty() {
            tracing::warn!(connections = connections.len(), "cut: they did not end in time");
        }
    }

    /// A place for a connection of this client. Where there is none, another connection is closed for it; `None` if it
    /// may not wait for one.
    async fn place(&self, client: Option<Network>) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Some(place);
        }
        let mut place = std::pin::pin!(self.places.clone().acquire_owned());
        loop {
            let may_wait = self.occupants.make_room(client, self.most);
            if !may_wait {
                return None;
            }
            if let Ok(place) = timeout(LOOKS_EVERY, &mut place).await {
                return place.ok();
            }
        }
    }

    /// Who is counted as one client; `None` for a trusted proxy.
    fn network(&self, peer: SocketAddr) -> Option<Network> {
        let address = peer.ip().to_canonical();
        (!is_trusted(address, &self.rules.load().trusted)).then(|| address.into())
    }

    /// From the first byte to the end of the handshake, within its deadline.
    ///
    /// A client that speaks HTTP in the clear is told so.
    async fn shake_hands(
        &self,
        acceptor: &TlsAcceptor,
        stream: TcpStream,
        peer: SocketAddr,
        activity: Arc<Activity>,
    ) -> Option<Accepted> {
        let rules = self.rules.load_full();
        let shaken = rules.try_shake_hands(acceptor, stream, peer, activity);
        let failure = match timeout(rules.handshake, shaken).await {
            Ok(Ok(accepted)) => {
                accepted.activity.opened();
                return Some(accepted);
            }
            Ok(Err(failure)) => failure,
            Err(_) => HandshakeError::Io(io::ErrorKind::TimedOut.into()),
        };
        self.metrics.handshakes_failed.increment();
        // Anybody can cause this at any rate, so it is not worth more than a line for who looks for it.
        tracing::debug!(%peer, error = %failure, "no handshake");
        if let HandshakeError::Plaintext(stream) = failure {
            rules
                .redirect
                .explain(stream, &self.ids, &self.clock, rules.header)
                .await;
        }
        None
    }
}

impl ConnectionRules {
    /// `port` is the bound one, for a `public_url` that has none.
    fn new(config: &Config, port: Option<u16>) -> Self {
        Self {
            redirect: Redirect::new(config, port),
            trusted: config.listen.trusted_proxies.clone(),
            handshake: config.timeouts.handshake.0,
            header: config.timeouts.header.0,
            drain: config.timeouts.drain.0,
        }
    }

    async fn try_shake_hands(
        &self,
        acceptor: &TlsAcceptor,
        mut stream: TcpStream,
        peer: SocketAddr,
        activity: Arc<Activity>,
    ) -> Result<Accepted, HandshakeError> {
        stream.set_nodelay(true)?;
        let port = stream.local_addr()?.port();
        let client = self.client(&mut stream, peer).await?;
        let mut first = [0];
        if stream.peek(&mut first).await? > 0 && first[0].is_ascii_alphabetic() {
            return Err(HandshakeError::Plaintext(stream));
        }
        let stream = acceptor.accept(stream).await?;
        let (_, session) = stream.get_ref();
        let sni = session.server_name().and_then(|name| name.parse().ok());
        let http2 = session.alpn_protocol() == Some(b"h2");
        Ok(Accepted {
            stream,
            client,
            port,
            sni,
            http2,
            activity,
        })
    }

    /// Who is at the other end. Only a trusted proxy may say that it is somebody else; from anybody else a PROXY
    /// header is what it is to TLS, nonsense.
    async fn client(&self, stream: &mut TcpStream, peer: SocketAddr) -> io::Result<ClientAddress> {
        let mut address = peer.ip().to_canonical();
        if is_trusted(address, &self.trusted)
            && let Some(named) = proxy_protocol::read(stream).await?
        {
            address = named.to_canonical();
        }
        Ok(ClientAddress {
            address,
            // Behind a PROXY header speaks whom it names, and its request is that client's own work.
            through_trusted_proxy: is_trusted(address, &self.trusted),
        })
    }
}

/// Counts a connection for as long as it lives, whatever ends it.
struct ConnectionGuard(Arc<Metrics>);

impl ConnectionGuard {
    fn count(metrics: Arc<Metrics>) -> Self {
        metrics.connections.increment();
        Self(metrics)
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.connections.decrement();
    }
}

fn listen_all(bound: Vec<(TcpSocket, SocketAddr)>) -> Result<Vec<TcpListener>, ListenError> {
    let listen = |(socket, address): (TcpSocket, SocketAddr)| {
        let listening = socket.listen(BACKLOG);
        listening.map_err(|error| ListenError { address, error })
    };
    bound.into_iter().map(listen).collect()
}

fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<(TcpSocket, SocketAddr)>, ListenError> {
    addresses.iter().map(|&address| bind(address)).collect()
}

/// The socket, and its address with the real port.
fn bind(address: SocketAddr) -> Result<(TcpSocket, SocketAddr), ListenError> {
    let try_bind = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    try_bind().map_err(|error| ListenError { address, error })
}

/// Closes a socket. The connections that the system had accepted for it, which would be reset with it.
fn queued(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(listener) = listener.into_std() else {
        return Vec::new();
    };
    let mut queued = Vec::new();
    // It does not block: it was tokio's.
    while queued.len() < BACKLOG as usize
        && let Ok((stream, peer)) = listener.accept()
    {
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| TcpStream::from_std(stream));
        queued.extend(stream.map(|stream| (stream, peer)));
    }
    queued
}

/// Whether accepting failed for one connection's sake, which is gone, and not for the system's.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

fn report_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked; the others go on");
    }
}
