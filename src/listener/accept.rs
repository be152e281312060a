//! Binds the sockets, accepts connections, and runs each from accept through the TLS handshake to its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ProtocolVersion;
use tokio_util::sync::CancellationToken;

use super::connection_slots::{Activity, ConnectionSlots};
use super::real_ip::is_trusted;
use super::redirect::Redirect;
use super::socket::{ListenError, Peer, Socket, UnixSocketListener, bind_all, listen_all};
use super::stream::ClientStream;
use super::{ListenerTls, proxy_protocol};
use crate::clock::Clock;
use crate::config::{Config, PlainAddress, TlsVersion};
use crate::metrics::Metrics;
use crate::random::Random;
use crate::request::{ClientAddress, Host, Network, RequestIds};
use crate::warning_limit::WarningLimit;

/// Pause after the system failed to accept: it is short of descriptors or memory, and an immediate retry
/// would only burn CPU.
const PAUSE: Duration = Duration::from_millis(100);

/// Interval at which a connection without a slot looks for one to evict.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// A connection whose TLS handshake is done.
#[derive(Debug)]
pub struct Accepted {
    /// The TLS stream.
    pub stream: ClientStream,
    /// The peer, or the client that a PROXY header names.
    pub client: ClientAddress,
    /// The local port.
    pub port: u16,
    /// The version of TLS; none where a trusted proxy ended TLS and speaks in the clear.
    pub tls: Option<TlsVersion>,
    /// The server name (SNI), if it is a valid host.
    pub sni: Option<Host>,
    /// Whether ALPN (RFC 7301) chose HTTP/2.
    pub http2: bool,
    /// Counts requests; an idle connection may be evicted for another one.
    pub activity: Arc<Activity>,
}

#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The first byte is a letter, as in HTTP methods; TLS begins with a record type (RFC 8446, section 5.1),
    /// which is not a letter.
    #[error("it speaks HTTP in the clear")]
    Plaintext(TcpStream),
}

/// Sockets that are bound but not listening yet.
#[derive(Debug)]
pub struct BoundSockets {
    https: Vec<(TcpSocket, SocketAddr)>,
    http: Vec<(TcpSocket, SocketAddr)>,
    plain: Vec<(TcpSocket, SocketAddr)>,
    plain_unix: Vec<UnixSocketListener>,
    plain_addresses: Vec<PlainAddress>,
    gate: Arc<ConnectionSettings>,
}

/// Listening sockets.
#[derive(Debug)]
pub struct Listener {
    https: Vec<TcpListener>,
    http: Vec<TcpListener>,
    plain: Vec<TcpListener>,
    plain_unix: Vec<UnixSocketListener>,
    addresses: Vec<SocketAddr>,
    http_addresses: Vec<SocketAddr>,
    plain_addresses: Vec<PlainAddress>,
    gate: Arc<ConnectionSettings>,
}

/// State that all connections share.
#[derive(Debug)]
pub struct ConnectionSettings {
    rules: ArcSwap<ConnectionRules>,
    places: Arc<Semaphore>,
    most: usize,
    occupants: Arc<ConnectionSlots>,
    metrics: Arc<Metrics>,
    /// For the `Date` of plain responses.
    clock: Clock,
    /// Request ids of plain requests.
    ids: RequestIds,
    /// Of peers that may not speak in the clear.
    warnings: WarningLimit,
    /// The port of the first HTTPS address.
    port: Option<u16>,
}

/// Settings that a reload replaces, for new connections.
#[derive(Debug)]
struct ConnectionRules {
    redirect: Redirect,
    trusted: Vec<IpNet>,
    handshake: Duration,
    header: Duration,
    drain: Duration,
}

impl BoundSockets {
    /// Returns the HTTPS addresses, with the actual ports.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.https.iter().map(|(_, address)| *address).collect()
    }

    /// Starts to listen. Connections wait in the kernel's queue until [`Listener::run`] accepts them.
    pub fn listen(self) -> Result<Listener, ListenError> {
        let Self {
            https,
            http,
            plain,
            plain_unix,
            plain_addresses,
            gate,
        } = self;
        let addresses =
            |bound: &[(TcpSocket, SocketAddr)]| bound.iter().map(|(_, address)| *address).collect();
        Ok(Listener {
            addresses: addresses(&https),
            http_addresses: addresses(&http),
            plain_addresses,
            https: listen_all(https)?,
            http: listen_all(http)?,
            plain: listen_all(plain)?,
            plain_unix,
            gate,
        })
    }
}

impl Listener {
    /// Binds all addresses of `[listen]` except `ops`. Port 0 binds any free port. Must run inside a tokio
    /// runtime.
    pub fn bind(
        config: &Config,
        clock: &Clock,
        random: &Random,
        metrics: Arc<Metrics>,
    ) -> Result<BoundSockets, ListenError> {
        let https = bind_all(config.listen.https.iter().copied())?;
        let http = bind_all(config.listen.http.iter().copied())?;
        let plain = bind_all(config.listen.plain_tcp())?;
        let mut plain_addresses: Vec<_> = plain.iter().map(|(_, at)| PlainAddress::Tcp(*at)).collect();
        let mut plain_unix = Vec::new();
        for address in &config.listen.plain {
            if let PlainAddress::Unix(path) = address {
                plain_unix.push(UnixSocketListener::bind(path)?);
                plain_addresses.push(address.clone());
            }
        }
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
                warnings: WarningLimit::default(),
                port,
            }),
            https,
            http,
            plain,
            plain_unix,
            plain_addresses,
        })
    }

    /// Returns the HTTPS addresses, with the actual ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses that redirect, with their real ports.
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.http_addresses
    }

    /// Where proxies that ended TLS ask, with the real ports.
    pub fn plain_addresses(&self) -> &[PlainAddress] {
        &self.plain_addresses
    }

    /// Returns the shared settings, for a reload while connections are accepted.
    pub fn gate(&self) -> Arc<ConnectionSettings> {
        self.gate.clone()
    }

    /// Accepts connections until `stop`, each in a task that lasts as long as `serve`, which must end soon
    /// after `stop`. Returns when all connections have ended; those left after `timeouts.drain` are cut.
    pub async fn run<S, F>(self, tls: ListenerTls, serve: S, stop: CancellationToken)
    where
        S: Fn(Accepted) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let Self {
            https,
            http,
            plain,
            plain_unix,
            gate,
            ..
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
        for listener in plain {
            let serve = serve.clone();
            let handle = move |gate: Arc<ConnectionSettings>, stream, peer, activity| {
                let serve = serve.clone();
                async move {
                    if let Some(accepted) = gate.accept_plain(stream, peer, activity).await {
                        serve(accepted).await;
                    }
                }
            };
            loops.spawn(gate.clone().accept(listener, handle, stop.clone()));
        }
        for listener in plain_unix {
            let serve = serve.clone();
            let handle = move |gate: Arc<ConnectionSettings>, stream, peer, activity| {
                let serve = serve.clone();
                async move {
                    if let Some(accepted) = gate.accept_plain_unix(stream, peer, activity).await {
                        serve(accepted).await;
                    }
                }
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
    /// Applies a configuration to new connections. Addresses and `limits.connections` do not change.
    pub fn reload(&self, config: &Config) {
        self.rules
            .store(Arc::new(ConnectionRules::new(config, self.port)));
    }

    /// The accept loop of one socket.
    async fn accept<L, H, F>(self: Arc<Self>, listener: L, handle: H, stop: CancellationToken)
    where
        L: Socket,
        H: Fn(Arc<Self>, L::Stream, Peer, Arc<Activity>) -> F,
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
        // One connection is accepted before it has a slot, because only its address tells which client it
        // counts for. Others wait in the kernel's queue, where they cost nothing.
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
                    // A connection that may not wait is closed.
                    Ok(_) => {}
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "connections cannot be accepted");
                        let _ = timeout(PAUSE, stop.cancelled()).await;
                    }
                },
            }
        }
        for (stream, peer) in waiting.into_iter().chain(listener.queued()) {
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

    /// Returns a slot for a connection of this client, evicting another connection if none is free. `None` if
    /// it may not wait.
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
    fn network(&self, peer: Peer) -> Option<Network> {
        match peer {
            Peer::Tcp(_) => {
                let address = peer.address();
                (!is_trusted(address, &self.rules.load().trusted)).then(|| address.into())
            }
            Peer::Unix => None,
        }
    }

    /// Handshakes within `timeouts.handshake`, PROXY header included.
    ///
    /// A client that speaks plain HTTP gets a 400 that says so.
    async fn shake_hands(
        &self,
        acceptor: &TlsAcceptor,
        stream: TcpStream,
        peer: Peer,
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
        // At debug level: anyone can cause this at any rate.
        tracing::debug!(client = %peer.address(), error = %failure, "no handshake");
        if let HandshakeError::Plaintext(stream) = failure {
            rules
                .redirect
                .explain(stream, &self.ids, &self.clock, rules.header)
                .await;
        }
        None
    }
}

impl ConnectionSettings {
    /// A connection in the clear, which only a trusted proxy may open: of any other peer nothing is read but one head,
    /// which is answered with the reason.
    async fn accept_plain(&self, stream: TcpStream, peer: Peer, activity: Arc<Activity>) -> Option<Accepted> {
        let rules = self.rules.load_full();
        let begun = timeout(rules.handshake, rules.begin_plain(stream, peer, activity)).await;
        match begun {
            Ok(Ok(PlainBeginning::Proxy(accepted))) => {
                accepted.activity.opened();
                Some(accepted)
            }
            Ok(Ok(PlainBeginning::Stranger(stream))) => {
                if let Some(unlogged) = self.warnings.admit() {
                    tracing::warn!(
                        client = %peer.address(),
                        unlogged,
                        "refused at listen.plain: the peer is not in listen.trusted_proxies, or a PROXY header names another client"
                    );
                }
                let (ids, clock) = (&self.ids, &self.clock);
                rules
                    .redirect
                    .refuse_stranger(stream, ids, clock, rules.header)
                    .await;
                None
            }
            Ok(Err(error)) => {
                tracing::debug!(client = %peer.address(), %error, "a connection in the clear broke off");
                None
            }
            Err(_) => None,
        }
    }

    /// The same of a program that may open the socket.
    async fn accept_plain_unix(
        &self,
        stream: UnixStream,
        peer: Peer,
        activity: Arc<Activity>,
    ) -> Option<Accepted> {
        let rules = self.rules.load_full();
        let client = ClientAddress {
            address: peer.address(),
            through_trusted_proxy: true,
            is_known: false,
        };
        let begun = in_the_clear(ClientStream::Unix(stream), client, 0, activity);
        let accepted = timeout(rules.handshake, begun).await.ok()?.ok()?;
        accepted.activity.opened();
        Some(accepted)
    }
}

/// Who began to speak in the clear.
enum PlainBeginning {
    Proxy(Accepted),
    Stranger(TcpStream),
}

impl ConnectionRules {
    async fn begin_plain(
        &self,
        mut stream: TcpStream,
        peer: Peer,
        activity: Arc<Activity>,
    ) -> io::Result<PlainBeginning> {
        stream.set_nodelay(true)?;
        let port = stream.local_addr()?.port();
        let client = self.client(&mut stream, peer).await?;
        if !client.through_trusted_proxy {
            return Ok(PlainBeginning::Stranger(stream));
        }
        let accepted = in_the_clear(ClientStream::Tcp(stream), client, port, activity).await?;
        Ok(PlainBeginning::Proxy(accepted))
    }
}

/// A proxy's connection, once it is known which version of HTTP it speaks.
async fn in_the_clear(
    stream: ClientStream,
    client: ClientAddress,
    port: u16,
    activity: Arc<Activity>,
) -> io::Result<Accepted> {
    Ok(Accepted {
        http2: stream.begins_http2().await?,
        stream,
        client,
        port,
        tls: None,
        sni: None,
        activity,
    })
}

impl ConnectionRules {
    /// `port` is the bound port, for a `public_url` without one.
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
        peer: Peer,
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
        let tls = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        };
        Ok(Accepted {
            stream: ClientStream::Tls(Box::new(stream)),
            client,
            port,
            tls: Some(tls),
            sni,
            http2,
            activity,
        })
    }

    /// Returns the client's address. Only a trusted proxy may send a PROXY header; from others it fails as
    /// TLS.
    async fn client(&self, stream: &mut TcpStream, peer: Peer) -> io::Result<ClientAddress> {
        let mut address = peer.address();
        if is_trusted(address, &self.trusted)
            && let Some(named) = proxy_protocol::read(stream).await?
        {
            address = named.to_canonical();
        }
        // Behind a PROXY header, the connection is the named client's own.
        let through_trusted_proxy = is_trusted(address, &self.trusted);
        Ok(ClientAddress {
            address,
            through_trusted_proxy,
            is_known: !through_trusted_proxy,
        })
    }
}

/// Counts an open connection in the metrics.
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

/// Whether accept failed because of a connection that is gone, and not because of the system.
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
