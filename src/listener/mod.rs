//! The first stage: sockets, TLS, certificates, and who is at the other end.
//!
//! It hands on connections whose handshake is done and knows nothing of requests, but for the plain listeners, which
//! only redirect.

mod accept;
mod certificates;
mod client;
mod local_authority;
mod occupancy;
mod private_file;
mod proxy_header;
mod redirect;
mod tls;

pub use accept::{Accepted, Bound, Gate, ListenError, Listener};
pub use certificates::CertificateError;
pub use client::forwarded;
pub use local_authority::{AUTHORITY_FILE, AuthorityError};
pub use occupancy::{Activity, TunnelPlace};
pub use private_file::FileError;
pub use tls::{Tls, TlsError};
