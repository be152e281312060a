//! Pool of idle HTTP/1.1 connections to one server.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::RequestBody;

/// Most idle connections kept for one server.
const MOST: usize = 512;

/// Longest time for which a connection is kept: servers that close idle connections often do so after a
/// minute.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(50);

/// Idle connections, newest last. The newest is used first, so that surplus ones age out.
#[derive(Default)]
pub(super) struct Http1Pool(Mutex<Vec<Idle>>);

struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// A connection in use.
pub(super) struct ConnectionLease {
    pool: Arc<Http1Pool>,
    sender: SendRequest<RequestBody>,
    is_reusable: bool,
}

impl Http1Pool {
    /// Takes a connection that has been idle for no longer than `max_idle`.
    pub(super) fn take(&self, max_idle: Duration) -> Option<SendRequest<RequestBody>> {
        let now = Instant::now();
        let mut idle = self.lock();
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            let age = now.duration_since(idle[at].since);
            if age > KEPT_FOR {
                // Those below are older still.
                idle.drain(..=at);
                return None;
            }
            if age > max_idle {
                return None;
            }
            if idle[at].sender.is_closed() {
                idle.remove(at);
            } else if idle[at].sender.is_ready() {
                return Some(idle.remove(at).sender);
            }
            // Otherwise its last exchange is not over yet; it stays for the next request.
        }
        None
    }

    /// Closes the connection that has been idle longest. Returns whether there was one.
    pub(super) fn close_one(&self) -> bool {
        let mut idle = self.lock();
        if idle.is_empty() {
            return false;
        }
        idle.remove(0);
        true
    }

    fn put(&self, sender: SendRequest<RequestBody>) {
        if sender.is_closed() {
            return;
        }
        let since = Instant::now();
        let mut idle = self.lock();
        if idle.len() == MOST {
            idle.remove(0);
        }
        idle.push(Idle { sender, since });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionLease {
    pub(super) fn new(pool: &Arc<Http1Pool>, sender: SendRequest<RequestBody>, is_reusable: bool) -> Self {
        Self {
            pool: pool.clone(),
            sender,
            is_reusable,
        }
    }

    /// Ends the exchange: puts the connection back into the pool, or closes it.
    pub(super) fn give_back(self) {
        if self.is_reusable {
            self.pool.put(self.sender);
        }
    }
}

impl fmt::Debug for Http1Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http1Pool({} idle)", self.lock().len())
    }
}

impl fmt::Debug for ConnectionLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionLease")
    }
}
