//! Tells the service manager how far the gateway is, as `sd_notify(3)` describes it.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The environment variable that names the manager's socket.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// A state of the service.
#[derive(Clone, Copy, Debug)]
pub(super) enum ServiceState {
    /// Requests are served.
    Ready,
    /// It was told to stop, and requests under way are completed.
    Stopping,
}

/// Sends the state, if a manager asked for it. A manager that cannot be told is a warning: the gateway serves all the same.
pub(super) fn notify(state: ServiceState) {
    let Some(socket) = env::var_os(VARIABLE).filter(|name| !name.is_empty()) else {
        return;
    };
    if let Err(error) = send(&socket, state) {
        tracing::warn!(%error, "the service manager at {VARIABLE} cannot be told of the state: it may take the gateway for one that does not start");
    }
}

fn send(socket: &OsStr, state: ServiceState) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let message = match state {
        ServiceState::Ready => "READY=1",
        ServiceState::Stopping => "STOPPING=1",
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}
