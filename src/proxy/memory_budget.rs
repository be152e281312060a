//! The budget of memory for requests over HTTP/2, of which one client may have very many under way: 128 a connection,
//! and responses that it does not read stay in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Request;

use crate::request::{ClientAddress, Network};

/// Bytes that a request takes beside its head and the page that answers it: tasks and buffers.
const PER_REQUEST: usize = 16 << 10;

/// Bytes for all requests, above which a connection has no more than its allowance.
const TOTAL_BYTES: usize = 256 << 20;

/// Bytes for the requests of one network, above which its connections have no more than their allowances.
const NETWORK_BYTES: usize = TOTAL_BYTES / 4;

/// Bytes for a connection once the total or its network's part is spent: some fifteen ordinary requests.
const ALLOWANCE: usize = 256 << 10;

/// How many clients a connection of a trusted proxy stands for.
const CLIENTS_OF_PROXY: usize = 50;

/// What all requests under way take, by estimate, in bytes.
#[derive(Debug, Default)]
pub(super) struct MemoryBudget {
    taken: AtomicUsize,
    /// What the requests of each network take that has connections.
    networks: Mutex<HashMap<Network, Arc<AtomicUsize>>>,
}

/// What the requests of a connection take.
#[derive(Debug)]
pub(super) struct ConnectionMemory {
    budget: Arc<MemoryBudget>,
    /// Whose part of the budget it takes; `None` for a trusted proxy, which stands for many networks.
    network: Option<(Network, Arc<AtomicUsize>)>,
    taken: AtomicUsize,
}

/// What one request takes, until it is dropped.
#[derive(Debug)]
pub(super) struct MemoryShare {
    connection: Arc<ConnectionMemory>,
    bytes: usize,
}

impl MemoryBudget {
    /// Returns the part of a new connection.
    pub(super) fn connect(self: &Arc<Self>, client: &ClientAddress) -> Arc<ConnectionMemory> {
        let network = (!client.through_trusted_proxy).then(|| {
            let network = Network::from(client.address);
            let taken = self.networks().entry(network).or_default().clone();
            (network, taken)
        });
        Arc::new(ConnectionMemory {
            budget: self.clone(),
            network,
            taken: AtomicUsize::default(),
        })
    }

    fn networks(&self) -> MutexGuard<'_, HashMap<Network, Arc<AtomicUsize>>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionMemory {
    /// Takes a share for a request with this head; `None` if the total or the network's part is spent, and the connection's
    /// allowance as well.
    pub(super) fn take<B>(self: &Arc<Self>, request: &Request<B>) -> Option<MemoryShare> {
        let mut share = MemoryShare {
            connection: self.clone(),
            bytes: 0,
        };
        share.grow(PER_REQUEST + size_of_head(request));
        self.has_room().then_some(share)
    }

    fn has_room(&self) -> bool {
        let taken = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let (of_network, allowance) = match &self.network {
            Some((_, network)) => (taken(network), ALLOWANCE),
            None => (0, CLIENTS_OF_PROXY * ALLOWANCE),
        };
        let is_spent = taken(&self.budget.taken) > TOTAL_BYTES || of_network > NETWORK_BYTES;
        !is_spent || taken(&self.taken) <= allowance
    }

    fn counters(&self) -> impl Iterator<Item = &AtomicUsize> {
        let of_network = self.network.iter().map(|(_, taken)| &**taken);
        [&self.budget.taken, &self.taken].into_iter().chain(of_network)
    }
}

impl Drop for ConnectionMemory {
    fn drop(&mut self) {
        let Some((network, taken)) = self.network.take() else {
            return;
        };
        // Under the lock nobody takes another, and this one is gone before it is counted.
        let mut networks = self.budget.networks();
        drop(taken);
        if networks
            .get(&network)
            .is_some_and(|taken| Arc::strong_count(taken) == 1)
        {
            networks.remove(&network);
        }
    }
}

impl MemoryShare {
    /// Takes more.
    pub(super) fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        for counter in self.connection.counters() {
            counter.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Releases what the head took, and all else but the buffers.
    pub(super) fn release_head(&mut self) {
        self.shrink(self.bytes - PER_REQUEST);
    }

    fn shrink(&mut self, bytes: usize) {
        self.bytes -= bytes;
        for counter in self.connection.counters() {
            counter.fetch_sub(bytes, Ordering::Relaxed);
        }
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
    use std::net::IpAddr;

    use super::*;

    fn client(address: &str) -> ClientAddress {
        ClientAddress {
            address: address.parse::<IpAddr>().unwrap(),
            through_trusted_proxy: false,
            is_known: true,
        }
    }

    fn request(target: &str) -> Request<()> {
        Request::get(target).body(()).unwrap()
    }

    /// Takes all that a connection gets for requests with heads of 48 KiB.
    fn take_all(connection: &Arc<ConnectionMemory>) -> Vec<MemoryShare> {
        let long = request(&format!("/{}", "x".repeat(48 << 10)));
        std::iter::from_fn(|| connection.take(&long)).collect()
    }

    fn bytes(shares: &[MemoryShare]) -> usize {
        shares.iter().map(|share| share.bytes).sum()
    }

    #[test]
    fn s48_a_connection_with_few_requests_is_served_when_the_memory_of_all_is_spent() {
        let budget = Arc::<MemoryBudget>::default();
        let greedy: Vec<_> = (1..=5)
            .map(|n| budget.connect(&client(&format!("192.0.2.{n}"))))
            .collect();
        let mut shares: Vec<_> = greedy.iter().flat_map(take_all).collect();
        let held = bytes(&shares);
        assert!(
            (TOTAL_BYTES - (256 << 10)..=TOTAL_BYTES).contains(&held),
            "{held}"
        );
        let other = budget.connect(&client("192.0.2.9"));
        let proxy = budget.connect(&ClientAddress {
            through_trusted_proxy: true,
            ..client("192.0.2.10")
        });
        let few: Vec<_> = (0..20).map_while(|_| other.take(&request("/"))).collect();
        assert_eq!(few.len(), ALLOWANCE / PER_REQUEST - 1, "the head counts too");
        let many: Vec<_> = (0..800).map_while(|_| proxy.take(&request("/"))).collect();
        assert!(many.len() > 700, "{}", many.len());
        shares.iter_mut().for_each(MemoryShare::release_head);
        let few_more = (0..20).map_while(|_| other.take(&request("/"))).count();
        assert_eq!(few_more, 20, "the heads are gone");
        drop((shares, few, many));
        assert_eq!(budget.taken.load(Ordering::Relaxed), 0);
        assert!(!take_all(&greedy[0]).is_empty());
    }

    #[test]
    fn s48_one_network_leaves_most_of_the_memory_to_others() {
        let budget = Arc::<MemoryBudget>::default();
        let greedy: Vec<_> = (1..=8)
            .map(|n| budget.connect(&client(&format!("2001:db8::{n}"))))
            .collect();
        let shares: Vec<_> = greedy.iter().flat_map(take_all).collect();
        let held = bytes(&shares);
        let most = NETWORK_BYTES + greedy.len() * ALLOWANCE;
        assert!((NETWORK_BYTES - (64 << 10)..=most).contains(&held), "{held}");
        let other = budget.connect(&client("2001:db8:0:1::1"));
        let many: Vec<_> = (0..128).map_while(|_| other.take(&request("/"))).collect();
        assert_eq!(many.len(), 128);
        assert_eq!(budget.networks().len(), 2);
        drop((greedy, shares));
        assert_eq!(budget.networks().len(), 1, "no connection, no entry");
        assert_eq!(budget.taken.load(Ordering::Relaxed), bytes(&many));
    }
}
