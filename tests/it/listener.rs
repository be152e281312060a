//! The listener over real sockets, with real TLS clients.

mod authority;

mod connections;
mod gateway;
mod ops;
mod tls;
