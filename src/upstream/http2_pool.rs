//! Pool of HTTP/2 connections to one server, each shared by many requests.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::connect::{self, Http2Connection};
use super::http1_pool::KEPT_FOR;
use crate::config::Endpoint;

/// Most requests without bodies of a connection at one time, whatever the server allows. Servers work on few streams of a
/// connection at once (Apache on six at first) while others wait for the one that is slow, and responses that are not
/// read take the flow control window from the others: with so few requests one client's lie in the way of few others'.
const MAX_SHARED: usize = 6;

/// How a request uses a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamUse {
    /// Beside others: it has no body.
    Shared,
    /// Alone, since it has a body. Until the application reads that, servers may read nothing more of its connection, and
    /// grant no others room to send.
    Exclusive,
}

/// The connections to a server. The first with room takes the next request, so that surplus ones run empty, and are
/// closed after a while.
#[derive(Default)]
pub(super) struct Http2Pool {
    connections: Mutex<PooledConnections>,
    /// Held while a connection to share is made, so that only one is.
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
    /// How many of them exclude others: more than one if no connection could be made.
    exclusive: AtomicUsize,
    /// When the last one ended.
    ended: Mutex<Instant>,
}

/// The share of a request in a connection, held until the ends of its body and its response.
#[derive(Debug)]
pub(super) struct StreamLease {
    usage: Arc<Usage>,
    stream_use: StreamUse,
}

impl Http2Pool {
    /// Returns the number that the next connection will have: later than those of all there are.
    pub(super) fn next_number(&self) -> u64 {
        self.lock().count
    }

    /// Returns a connection with room for this use, of those with the number `oldest` or a later one, and whether it
    /// existed before. Makes one within `limit` if there is none; if that fails, one without room serves.
    pub(super) async fn lease_or_connect(
        &self,
        endpoint: &Endpoint,
        used: StreamUse,
        oldest: u64,
        limit: Duration,
    ) -> io::Result<(PooledConnection, Arc<StreamLease>, bool)> {
        if let Some((pooled, stream)) = self.lock().lease(used, oldest) {
            return Ok((pooled, stream, true));
        }
        // Waiting for one's turn counts: many may wait while a server takes no more connections.
        let connected = timeout(limit, async {
            // Of those that share a connection, one makes it.
            let _one_at_a_time = match used {
                StreamUse::Shared => Some(self.connecting.lock().await),
                StreamUse::Exclusive => None,
            };
            if let Some((pooled, stream)) = self.lock().lease(used, oldest) {
                return Ok((pooled, stream, true));
            }
            let connection = connect::http2(endpoint).await?;
            let (pooled, stream) = self.lock().add(connection, used);
            Ok((pooled, stream, false))
        });
        match connected.await.map_err(io::Error::from).flatten() {
            Ok(leased) => Ok(leased),
            Err(error) => {
                let waited_for = self.lock().lease_least_used(used, oldest);
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
    fn lease(&mut self, used: StreamUse, oldest: u64) -> Option<(PooledConnection, Arc<StreamLease>)> {
        self.open.retain(PooledConnection::is_of_use);
        let has_room = |pooled: &PooledConnection| pooled.number >= oldest && pooled.has_room(used);
        let pooled = self.open.iter().find(|pooled| has_room(pooled))?.clone();
        let stream = pooled.lease(used);
        Some((pooled, stream))
    }

    /// Leases a stream that waits for room, on the connection that has the fewest.
    fn lease_least_used(&self, used: StreamUse, oldest: u64) -> Option<(PooledConnection, Arc<StreamLease>)> {
        let open = self.open.iter().filter(|pooled| pooled.number >= oldest);
        let least = open.min_by_key(|pooled| pooled.count())?;
        Some((least.clone(), least.lease(used)))
    }

    fn add(&mut self, connection: Http2Connection, used: StreamUse) -> (PooledConnection, Arc<StreamLease>) {
        let pooled = PooledConnection {
            connection,
            number: self.count,
            usage: Arc::new(Usage {
                requests: AtomicUsize::new(0),
                exclusive: AtomicUsize::new(0),
                ended: Mutex::new(Instant::now()),
            }),
        };
        self.count += 1;
        let stream = pooled.lease(used);
        self.open.push(pooled.clone());
        (pooled, stream)
    }
}

impl PooledConnection {
    fn lease(&self, used: StreamUse) -> Arc<StreamLease> {
        self.usage.requests.fetch_add(1, Ordering::Relaxed);
        if used == StreamUse::Exclusive {
            self.usage.exclusive.fetch_add(1, Ordering::Relaxed);
        }
        Arc::new(StreamLease {
            usage: self.usage.clone(),
            stream_use: used,
        })
    }

    fn has_room(&self, used: StreamUse) -> bool {
        let (count, most) = (self.count(), self.most());
        match used {
            StreamUse::Shared => count < most && self.usage.exclusive.load(Ordering::Relaxed) == 0,
            StreamUse::Exclusive => count == 0 && most > 0,
        }
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
        self.connection.streams().min(MAX_SHARED)
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
        *self.usage.ended() = Instant::now();
        if self.stream_use == StreamUse::Exclusive {
            self.usage.exclusive.fetch_sub(1, Ordering::Relaxed);
        }
        self.usage.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
