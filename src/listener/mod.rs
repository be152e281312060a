//! The listener stage: sockets, TLS, certificates, and the client's address.
//!
//! Hands over connections whose handshake is done. Only the plain HTTP listeners read requests, which they
//! redirect.

mod accept;
mod certificates;
mod connection_slots;
mod local_ca;
mod proxy_protocol;
mod real_ip;
mod redirect;
mod socket;
mod stream;
mod tls;

pub use accept::{Accepted, BoundSockets, ConnectionSettings, Listener};
pub use connection_slots::{Activity, TunnelSlot};
pub use local_ca::{AUTHORITY_FILE, LocalCaError};
pub use real_ip::forwarded;
pub use socket::{ListenError, check_address, may_bind};
pub use stream::ClientStream;
pub use tls::{ListenerTls, TlsError};
