//! The budget of memory for requests over HTTP/2, of which one client may have very many under way: 128 a connection,
//! and responses that it does not read stay in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;

use super::connection_state::ConnectionState;

/// Bytes that a request takes beside its head and the page that answers it: tasks and buffers.
const PER_REQUEST: usize = 16 << 10;

/// Bytes for all requests, above which a connection has no more than its allowance.
const TOTAL_BYTES: usize = 256 << 20;

/// Bytes for a connection once the total is spent: some fifteen ordinary requests.
const ALLOWANCE: usize = 256 << 10;

/// How many clients a connection of a trusted proxy stands for.
const CLIENTS_OF_PROXY: usize = 50;

/// What all requests under way take, by estimate, in bytes.
#[derive(Debug, Default)]
pub(super) struct MemoryBudget(AtomicUsize);

/// What one request takes, until it is dropped.
#[derive(Debug)]
pub(super) struct MemoryShare {
    budget: Arc<MemoryBudget>,
    connection: Arc<ConnectionState>,
    bytes: usize,
}

impl MemoryBudget {
    /// Takes a share for a request with this head; `None` if the total is spent, and the connection's allowance as well.
    pub(super) fn take<B>(
        self: &Arc<Self>,
        connection: &Arc<ConnectionState>,
        is_of_proxy: bool,
        request: &Request<B>,
    ) -> Option<MemoryShare> {
        let mut share = MemoryShare {
            budget: self.clone(),
            connection: connection.clone(),
            bytes: 0,
        };
        let (total, of_connection) = share.grow(PER_REQUEST + size_of_head(request));
        let allowance = if is_of_proxy {
            CLIENTS_OF_PROXY * ALLOWANCE
        } else {
            ALLOWANCE
        };
        (total <= TOTAL_BYTES || of_connection <= allowance).then_some(share)
    }
}

impl MemoryShare {
    /// Takes more. Returns what all requests, and those of the connection, take now.
    pub(super) fn grow(&mut self, bytes: usize) -> (usize, usize) {
        self.bytes += bytes;
        let total = self.budget.0.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let of_connection = self.connection.memory.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (total, of_connection)
    }

    /// Releases what the head took, and all else but the buffers.
    pub(super) fn release_head(&mut self) {
        self.shrink(self.bytes - PER_REQUEST);
    }

    fn shrink(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.budget.0.fetch_sub(bytes, Ordering::Relaxed);
        self.connection.memory.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// The size of a head as HTTP/2 counts it (RFC 9113, section 10.5.1).
fn size_of_head<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query();
    let fields = request.headers().iter();
    let sizes = fields.map(|(name, value)| name.as_str().len() + value.len() + 32);
    target.map_or(0, |target| target.as_str().len()) + sizes.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s48_a_connection_with_few_requests_is_served_when_the_memory_of_all_is_spent() {
        let budget = Arc::<MemoryBudget>::default();
        let request = |target: &str| Request::get(target).body(()).unwrap();
        let long = request(&format!("/{}", "x".repeat(48 << 10)));
        let greedy = Arc::<ConnectionState>::default();
        let mut shares = Vec::new();
        while let Some(share) = budget.take(&greedy, false, &long) {
            shares.push(share);
        }
        let held = shares.iter().map(|share| share.bytes).sum::<usize>();
        assert!((TOTAL_BYTES - (64 << 10)..=TOTAL_BYTES).contains(&held), "{held}");
        let (other, proxy) = (
            Arc::<ConnectionState>::default(),
            Arc::<ConnectionState>::default(),
        );
        let take = |connection, is_of_proxy| budget.take(connection, is_of_proxy, &request("/"));
        let few: Vec<_> = (0..20).map_while(|_| take(&other, false)).collect();
        assert_eq!(few.len(), ALLOWANCE / PER_REQUEST - 1, "the head counts too");
        let many: Vec<_> = (0..800).map_while(|_| take(&proxy, true)).collect();
        assert!(many.len() > 700, "{}", many.len());
        shares.iter_mut().for_each(MemoryShare::release_head);
        let few_more = (0..20).map_while(|_| take(&other, false)).count();
        assert_eq!(few_more, 20, "the heads are gone");
        drop((shares, few, many));
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
        assert!(budget.take(&greedy, false, &long).is_some());
    }
}
