//! The first stage: sockets, TLS, certificates, and who is at the other end.
//!
//! It hands on connections whose handshake is done and knows nothing of requests, but for the plain listeners, which
//! only redirect.

mod accept;
mod certificates;
mod connection_slots;
mod local_ca;
mod private_file;
mod proxy_protocol;
mod real_ip;
mod redirect;
mod tls;

pub use accept::{Accepted, BoundSockets, ConnectionSettings, ListenError, Listener};
pub use certificates::CertificateError;
pub use connection_slots::{Activity, TunnelSlot};
pub use local_ca::{AUTHORITY_FILE, LocalCaError};
pub use private_file::FileError;
pub use real_ip::forwarded;
pub use tls::{ListenerTls, TlsError};
