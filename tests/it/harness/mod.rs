//! The test harness: the whole gateway on a free port, upstreams behind it, and clients in front of it.

mod application;
mod client;
mod cluster;
mod database_proxy;
pub(crate) mod frames;
mod http2_websocket;
mod mailbox;
mod person;
mod program;
mod raw;
pub(crate) mod signer;

pub(crate) use application::{Application, Received, head_of, until};
pub(crate) use client::{PASSWORD, Running, certify, route, upstream};
pub(crate) use cluster::Cluster;
pub(crate) use database_proxy::DatabaseProxy;
pub(crate) use http2_websocket::Http2WebSocket;
pub(crate) use mailbox::Letter;
pub(crate) use person::{Person, ProgramReply, form, inviting};
pub(crate) use program::{CommandResult, Program, Site};
pub(crate) use raw::Raw;

use std::time::Duration;

/// Longer than anything takes; what takes longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Fails a test instead of letting it hang.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("this comes soon")
}

/// Whether to run the long tests too: `tests/run --full`.
pub(crate) fn in_full() -> bool {
    std::env::var_os("VESTIBULE_FULL").is_some_and(|value| value == "1")
}
