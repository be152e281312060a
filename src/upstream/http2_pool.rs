//! Pool of HTTP/2 connections to one server, each shared by many requests.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::connect::{self, Http2Connection};
use super::http1_pool::KEPT_FOR;
use crate::config::Endpoint;

/// Most requests of a connection at one time, whatever the server allows. Servers work on few streams of a connection at
/// once (Apache on six at first) while others wait for the one that is slow, and responses that are not read take the
/// flow control window from the others: with so few requests one client's lie in the way of few others'.
const REQUESTS: usize = 6;

/// The connections to a server. The first with room takes the next request, so that surplus ones run empty, and are
/// closed after a while.
#[derive(Default)]
pub(super) struct Http2Pool {
    connections: Mutex<PooledConnections>,
    /// Held while connecting, so that only one connection is made.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct PooledConnections {
    /// In the order in which they are filled.
    open: Vec<PooledConnection>,
    /// How many there have been.
    count: u64,
}

#[derive(Clone)]
pub(super) struct PooledConnection {
    pub(super) connection: Http2Connection,
    /// How many came before it.
    number: u64,
    usage: Arc<Usage>,
}

#[derive(Debug)]
struct Usage {
    /// How many requests there are, until the ends of their bodies and responses.
    requests: AtomicUsize,
    /// When the last one ended.
    ended: Mutex<Instant>,
}

/// The share of a request in a connection, held until the ends of its body and its response.
#[derive(Debug)]
pub(super) struct StreamLease(Arc<Usage>);

impl Http2Pool {
    /// Returns the number that the next connection will have: later than those of all there are.
    pub(super) fn next_number(&self) -> u64 {
        self.lock().count
    }

    /// Returns a connection with room for a request, of those with the number `oldest` or a later one, and whether it
    /// existed before. Makes one within `limit` if there is none; if that fails, one without room serves.
    pub(super) async fn lease_or_connect(
        &self,
        endpoint: &Endpoint,
        oldest: u64,
        limit: Duration,
    ) -> io::Result<(PooledConnection, Arc<StreamLease>, bool)> {
        if let Some((pooled, stream)) = self.lock().lease(oldest) {
            return Ok((pooled, stream, true));
        }
        // Waiting for one's turn counts: many may wait while a server takes no more connections.
        let connected = timeout(limit, async {
            let _one_at_a_time = self.connecting.lock().await;
            if let Some((pooled, stream)) = self.lock().lease(oldest) {
                return Ok((pooled, stream, true));
            }
            let connection = connect::http2(endpoint).await?;
            let (pooled, stream) = self.lock().add(connection);
            Ok((pooled, stream, false))
        });
        match connected.await.map_err(io::Error::from).flatten() {
            Ok(leased) => Ok(leased),
            Err(error) => {
                let waited_for = self.lock().lease_least_used(oldest);
                waited_for
                    .map(|(pooled, stream)| (pooled, stream, true))
                    .ok_or(error)
            }
        }
    }

    /// Stops using a connection that is ending but may not report it yet.
    pub(super) fn remove(&self, gone: &PooledConnection) {
        self.lock().open.retain(|pooled| pooled.number != gone.number);
    }

    fn lock(&self) -> MutexGuard<'_, PooledConnections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PooledConnections {
    /// Leases a stream on the first connection with room for it, of those with the number `oldest` or a later one.
    /// `None` if all are full.
    fn lease(&mut self, oldest: u64) -> Option<(PooledConnection, Arc<StreamLease>)> {
        self.open.retain(PooledConnection::is_of_use);
        let has_room = |pooled: &PooledConnection| pooled.number >= oldest && pooled.count() < pooled.most();
        let pooled = self.open.iter().find(|pooled| has_room(pooled))?.clone();
        let stream = pooled.lease();
        Some((pooled, stream))
    }

    /// Leases a stream that waits for room, on the connection that has the fewest.
    fn lease_least_used(&self, oldest: u64) -> Option<(PooledConnection, Arc<StreamLease>)> {
        let open = self.open.iter().filter(|pooled| pooled.number >= oldest);
        let least = open.min_by_key(|pooled| pooled.count())?;
        Some((least.clone(), least.lease()))
    }

    fn add(&mut self, connection: Http2Connection) -> (PooledConnection, Arc<StreamLease>) {
        let pooled = PooledConnection {
            connection,
            number: self.count,
            usage: Arc::new(Usage {
                requests: AtomicUsize::new(0),
                ended: Mutex::new(Instant::now()),
            }),
        };
        self.count += 1;
        let stream = pooled.lease();
        self.open.push(pooled.clone());
        (pooled, stream)
    }
}

impl PooledConnection {
    fn lease(&self) -> Arc<StreamLease> {
        self.usage.requests.fetch_add(1, Ordering::Relaxed);
        Arc::new(StreamLease(self.usage.clone()))
    }

    fn count(&self) -> usize {
        self.usage.requests.load(Ordering::Relaxed)
    }

    /// Whether it serves requests, or may: it is open, takes some, and was used lately.
    fn is_of_use(&self) -> bool {
        let is_recent = || self.usage.ended().elapsed() < KEPT_FOR;
        !self.connection.sender.is_closed() && (self.count() > 0 || self.most() > 0 && is_recent())
    }

    /// How many requests it takes at one time. None where the server allows none: only a new connection is sent one
    /// before that is known.
    fn most(&self) -> usize {
        self.connection.streams().min(REQUESTS)
    }
}

impl Usage {
    fn ended(&self) -> MutexGuard<'_, Instant> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        // Before the count falls, so that no connection seems to have been idle for long.
        *self.0.ended() = Instant::now();
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
