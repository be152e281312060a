//! Sockets that connections come from, of the network and of the file system.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use crate::unix_socket::{SocketFile, SocketModes, UnixSocket, UnixSocketError};

/// Connections that wait in the system's queue for a place.
const BACKLOG: u32 = 1024;

/// Of a socket for proxies: the owner's group may use it, which a folder with the set-group-id bit chooses.
const PLAIN_MODES: SocketModes = SocketModes {
    socket: 0o660,
    folder: 0o750,
};

/// A place that cannot be listened at.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// An address of the network.
    #[error("cannot listen on {address}: {error}{}", hint(*address))]
    Address {
        /// Which one.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// A socket in the file system.
    #[error("listen.plain: {0}")]
    Socket(#[from] UnixSocketError),
}

/// The other end of a connection, as the system knows it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    Tcp(SocketAddr),
    /// A program that may open the socket.
    Unix,
}

/// A socket that takes connections.
pub(super) trait Socket: Send + Sync + 'static {
    /// A connection.
    type Stream: Send + 'static;

    /// The next connection.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;

    /// Closes it. The connections that the system had accepted for it, which would be reset with it.
    fn queued(self) -> Vec<(Self::Stream, Peer)>;
}

/// A socket in the file system whose file goes when it is closed.
#[derive(Debug)]
pub(super) struct UnixSocketListener {
    listener: UnixListener,
    file: SocketFile,
}

impl Peer {
    /// The address that it is known by: a program of this machine by the machine's own.
    pub(super) fn address(self) -> IpAddr {
        match self {
            Self::Tcp(peer) => peer.ip().to_canonical(),
            Self::Unix => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

impl Socket for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, peer) = Self::accept(self).await?;
        Ok((stream, Peer::Tcp(peer)))
    }

    fn queued(self) -> Vec<(TcpStream, Peer)> {
        let Ok(listener) = self.into_std() else {
            return Vec::new();
        };
        drain(|| {
            let (stream, peer) = listener.accept()?;
            stream.set_nonblocking(true)?;
            Ok((TcpStream::from_std(stream)?, Peer::Tcp(peer)))
        })
    }
}

impl Socket for UnixSocketListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, Peer::Unix))
    }

    fn queued(self) -> Vec<(UnixStream, Peer)> {
        let Self { listener, file } = self;
        // From here on a proxy cannot connect, and tries the next gateway.
        drop(file);
        let Ok(listener) = listener.into_std() else {
            return Vec::new();
        };
        drain(|| {
            let (stream, _) = listener.accept()?;
            stream.set_nonblocking(true)?;
            Ok((UnixStream::from_std(stream)?, Peer::Unix))
        })
    }
}

impl UnixSocketListener {
    /// Makes the socket of proxies that ended TLS. Connections wait until they are accepted.
    pub(super) fn bind(path: &Path) -> Result<Self, UnixSocketError> {
        let UnixSocket { listener, file } = UnixSocket::bind(path, PLAIN_MODES)?;
        match UnixListener::from_std(listener) {
            Ok(listener) => Ok(Self { listener, file }),
            Err(error) => {
                let path = path.to_owned();
                Err(UnixSocketError::Io { path, error })
            }
        }
    }
}

/// What a listener that does not block has left.
fn drain<S>(mut accept: impl FnMut() -> io::Result<(S, Peer)>) -> Vec<(S, Peer)> {
    let mut queued = Vec::new();
    while queued.len() < BACKLOG as usize
        && let Ok(accepted) = accept()
    {
        queued.push(accepted);
    }
    queued
}

pub(super) fn listen_all(bound: Vec<(TcpSocket, SocketAddr)>) -> Result<Vec<TcpListener>, ListenError> {
    let listen = |(socket, address): (TcpSocket, SocketAddr)| {
        let listening = socket.listen(BACKLOG);
        listening.map_err(|error| ListenError::Address { address, error })
    };
    bound.into_iter().map(listen).collect()
}

/// The sockets, and their addresses with the real ports.
pub(super) fn bind_all(
    addresses: impl IntoIterator<Item = SocketAddr>,
) -> Result<Vec<(TcpSocket, SocketAddr)>, ListenError> {
    addresses.into_iter().map(bind).collect()
}

/// Fails if the address is not one of this machine's. Whether its port is free only a start can tell: a gateway that
/// runs has taken it.
pub fn check_address(address: SocketAddr) -> Result<(), ListenError> {
    let mut at_any_port = address;
    at_any_port.set_port(0);
    match bind(at_any_port) {
        Err(ListenError::Address { error, .. }) if is_not_ours(&error) => {
            Err(ListenError::Address { address, error })
        }
        _ => Ok(()),
    }
}

/// Whether this user may listen at the address: ports below `net.ipv4.ip_unprivileged_port_start` need `CAP_NET_BIND_SERVICE`.
/// An address in use counts as permitted. Binds the port for a moment, and does not listen.
pub fn may_bind(address: SocketAddr) -> bool {
    match bind(address) {
        Err(ListenError::Address { error, .. }) => {
            error.kind() != io::ErrorKind::PermissionDenied || is_listened_at(address.port())
        }
        _ => true,
    }
}

/// Whether some socket of this machine listens at the port (proc(5), `/proc/net/tcp`).
fn is_listened_at(port: u16) -> bool {
    const LISTEN: &str = "0A";
    let local = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        table.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let is_here = fields.next().is_some_and(|address| address.ends_with(&local));
            is_here && fields.nth(1) == Some(LISTEN)
        })
    })
}

fn is_not_ours(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT | Errno::INVAL)
    )
}

/// What an address lacks that several networks may have.
fn hint(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 => format!(
            "; every network has such addresses: add the number of the interface, as in \"[{}%2]:{}\"",
            v6.ip(),
            v6.port()
        ),
        _ => String::new(),
    }
}

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
    try_bind().map_err(|error| ListenError::Address { address, error })
}
