//! Pool of HTTP/2 connections to one server, each shared by many requests.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::connect::{self, Http2Connection};
use crate::config::Endpoint;

/// The connections to a server. The first with room takes the next request, so that surplus ones run empty.
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
    /// How many requests it has, until the ends of their bodies and responses.
    requests: Arc<AtomicUsize>,
}

/// The share of a request in a connection, held until the ends of its body and its response.
#[derive(Debug)]
pub(super) struct StreamLease(Arc<AtomicUsize>);

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
        let _one_at_a_time = self.connecting.lock().await;
        if let Some((pooled, stream)) = self.lock().lease(oldest) {
            return Ok((pooled, stream, true));
        }
        let connected = timeout(limit, connect::http2(endpoint)).await;
        match connected.map_err(io::Error::from).flatten() {
            Ok(connection) => {
                let (pooled, stream) = self.lock().add(connection);
                Ok((pooled, stream, false))
            }
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
        self.open.retain(|pooled| !pooled.connection.sender.is_closed());
        let has_room = |pooled: &PooledConnection| pooled.number >= oldest && pooled.count() < pooled.most();
        let at = self.open.iter().position(has_room)?;
        let pooled = self.open[at].clone();
        // With so much room those after it are needed no more; half of it, lest they come and go with every request.
        if pooled.count() <= (pooled.most() - 1) / 2 {
            let mut index = 0..;
            self.open
                .retain(|pooled| index.next() <= Some(at) || pooled.count() > 0);
        }
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
            requests: Arc::default(),
        };
        self.count += 1;
        let stream = pooled.lease();
        self.open.push(pooled.clone());
        (pooled, stream)
    }
}

impl PooledConnection {
    fn lease(&self) -> Arc<StreamLease> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Arc::new(StreamLease(self.requests.clone()))
    }

    fn count(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// How many requests it takes at one time. A server that allows none is sent one all the same, and responds in time
    /// or not.
    fn most(&self) -> usize {
        self.connection.streams().max(1)
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
