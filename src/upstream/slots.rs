//! Connection slots of an upstream: permits, and the queue of requests that wait for them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::connection_limit::{ConnectionLimit, LimitPermit, OpenConnection, UNDIVIDED};
use super::http1_pool::Http1Pool;
use super::response_body::OpenResponse;
use crate::request::Network;

/// Most requests that wait for a connection to one upstream.
const QUEUE: usize = 128;

/// Most of these from one client.
const QUEUE_SHARE: usize = QUEUE / 4;

/// Interval at which a waiting request looks for an unread response to abort.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct UpstreamSlots {
    own: Arc<ConnectionLimit>,
    all: Arc<ConnectionLimit>,
    /// Most requests of one client that await a response head at one time.
    share: usize,
    /// How long a request waits for a permit.
    patience: Duration,
    clients: Mutex<ActiveClients>,
}

/// Clients with requests at this upstream; others have no entry.
#[derive(Debug, Default)]
struct ActiveClients {
    queued: usize,
    each: HashMap<Network, ClientRequests>,
}

#[derive(Debug)]
struct ClientRequests {
    turns: Arc<Semaphore>,
    requests: usize,
    /// Queue slots, newest last. Dropping a sender displaces its request.
    queued: Vec<oneshot::Sender<()>>,
}

/// Permission to use a connection. Held until the end of the response or the tunnel.
#[derive(Debug)]
pub struct ConnectionPermit {
    own: LimitPermit,
    all: LimitPermit,
    _tunnel: Option<OpenConnection>,
    /// Counts the request at the server that it is sent to.
    active: Option<ActiveRequest>,
}

/// A request under way at a server, which counts it.
#[derive(Debug)]
pub(super) struct ActiveRequest(Arc<AtomicUsize>);

impl ActiveRequest {
    pub(super) fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One of the client's turns. Held until the response head arrives.
#[derive(Debug)]
pub(super) struct ClientTurn<'p> {
    _client: ClientRequest<'p>,
    _turn: OwnedSemaphorePermit,
}

/// The queue is full, or the request waited too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoCapacity;

impl ConnectionPermit {
    /// Counts its request at another server from now on.
    pub(super) fn count(&mut self, active: ActiveRequest) {
        self.active = Some(active);
    }

    /// Registers a response that holds this permit and may be aborted to free it.
    pub(super) fn lend(&self, response: &Arc<OpenResponse>) {
        for permit in [&self.own, &self.all] {
            permit.lend(response);
        }
    }
}

impl UpstreamSlots {
    pub(super) fn new(most: usize, all: Arc<ConnectionLimit>, patience: Duration) -> Self {
        let own = Arc::new(ConnectionLimit::new(most.min(all.most())));
        Self {
            share: (own.most() / 2).max(UNDIVIDED).min(own.most()),
            own,
            all,
            patience,
            clients: Mutex::default(),
        }
    }

    /// Returns the most permits at one time.
    pub(super) fn most(&self) -> usize {
        self.own.most()
    }

    /// Registers a pool whose idle connections may be closed to make room.
    pub(super) fn register(&self, pool: &Arc<Http1Pool>) {
        self.own.register(pool);
        self.all.register(pool);
    }

    /// Counts a connection that a permit's holder is about to open; closes idle ones if needed.
    pub(super) fn open(&self) -> OpenConnection {
        self.own.make_room();
        self.all.make_room();
        self.count()
    }

    fn count(&self) -> OpenConnection {
        OpenConnection::count([self.own.clone(), self.all.clone()])
    }

    /// Returns a permit and a turn, at once or after a short wait.
    ///
    /// One client has a share of the requests that await a response, of the queue and of the permits. So
    /// however many it sends to a slow upstream, and however slowly it reads, others get through. If many
    /// clients use all of it together, one that uses less goes first: in a full queue it displaces the newest
    /// request of the client that uses the most.
    pub(super) async fn take(
        &self,
        client: IpAddr,
    ) -> Result<(ConnectionPermit, ClientTurn<'_>), NoCapacity> {
        let client = ClientRequest::begin(self, client.into());
        let network = client.network;
        let at_once = || {
            let turn = client.turns.clone().try_acquire_owned().ok()?;
            let own = self.own.try_take(network)?;
            let all = self.all.try_take(network)?;
            Some((turn, own, all))
        };
        let (turn, own, all) = match at_once() {
            Some(taken) => taken,
            None => self.wait(&client).await?,
        };
        let permit = ConnectionPermit {
            own,
            all,
            _tunnel: None,
            active: None,
        };
        let turn = ClientTurn {
            _client: client,
            _turn: turn,
        };
        Ok((permit, turn))
    }

    async fn wait(
        &self,
        client: &ClientRequest<'_>,
    ) -> Result<(OwnedSemaphorePermit, LimitPermit, LimitPermit), NoCapacity> {
        let network = client.network;
        let mut queued = QueueSlot::enter(client).ok_or(NoCapacity)?;
        let waited = async {
            let turn = client.turns.clone().acquire_owned().await.ok()?;
            let own = self.own.take(network).await;
            let all = self.all.take(network).await;
            Some((turn, own, all))
        };
        let mut waited = std::pin::pin!(timeout(self.patience, waited));
        loop {
            for limit in [&self.own, &self.all] {
                limit.reclaim(network);
            }
            tokio::select! {
                biased;
                waited = &mut waited => return waited.ok().flatten().ok_or(NoCapacity),
                _ = &mut queued.displaced => return Err(NoCapacity),
                () = sleep(LOOKS_EVERY) => {}
            }
        }
    }

    /// Counts a tunnel's connection as open, since hyper's connection task no longer does.
    pub(super) fn keep_open(&self, permit: ConnectionPermit) -> ConnectionPermit {
        ConnectionPermit {
            _tunnel: Some(self.count()),
            ..permit
        }
    }

    fn clients(&self) -> MutexGuard<'_, ActiveClients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request, counted for its client.
#[derive(Debug)]
struct ClientRequest<'p> {
    slots: &'p UpstreamSlots,
    network: Network,
    turns: Arc<Semaphore>,
}

impl<'p> ClientRequest<'p> {
    fn begin(slots: &'p UpstreamSlots, network: Network) -> Self {
        let mut clients = slots.clients();
        let client = clients.each.entry(network).or_insert_with(|| ClientRequests {
            turns: Arc::new(Semaphore::new(slots.share)),
            requests: 0,
            queued: Vec::new(),
        });
        client.requests += 1;
        let turns = client.turns.clone();
        drop(clients);
        Self {
            slots,
            network,
            turns,
        }
    }
}

impl Drop for ClientRequest<'_> {
    fn drop(&mut self) {
        let mut clients = self.slots.clients();
        if let Some(client) = clients.each.get_mut(&self.network) {
            client.requests -= 1;
            if client.requests == 0 {
                clients.each.remove(&self.network);
            }
        }
    }
}

struct QueueSlot<'c, 'p> {
    request: &'c ClientRequest<'p>,
    /// Closed when a client that uses less displaces the request.
    displaced: oneshot::Receiver<()>,
}

impl<'c, 'p> QueueSlot<'c, 'p> {
    fn enter(request: &'c ClientRequest<'p>) -> Option<Self> {
        let ClientRequest { slots, network, .. } = request;
        let mut clients = slots.clients();
        let own = clients.each.get(network)?.queued.len();
        if own >= QUEUE_SHARE || clients.queued >= QUEUE && !clients.displace_for(*network, &slots.own) {
            return None;
        }
        let (slot, displaced) = oneshot::channel();
        clients.each.get_mut(network)?.queued.push(slot);
        clients.queued += 1;
        Some(Self { request, displaced })
    }
}

impl ActiveClients {
    /// Displaces the newest request of the client that uses the most, permits included, if `client` would
    /// still use less.
    fn displace_for(&mut self, client: Network, limit: &ConnectionLimit) -> bool {
        let held = limit.held();
        let load = |of: &Network, requests: &ClientRequests| held(*of) + requests.queued.len();
        let own = self.each.get(&client).map_or(0, |own| load(&client, own));
        let queued = self
            .each
            .iter_mut()
            .filter(|(_, requests)| !requests.queued.is_empty());
        let most = queued.max_by_key(|(of, requests)| load(of, requests));
        let Some((_, most)) = most.filter(|(of, most)| load(of, most) > own + 1) else {
            return false;
        };
        most.queued.pop();
        self.queued -= 1;
        true
    }
}

impl Drop for QueueSlot<'_, '_> {
    fn drop(&mut self) {
        self.displaced.close();
        let mut clients = self.request.slots.clients();
        let clients = &mut *clients;
        if let Some(client) = clients.each.get_mut(&self.request.network) {
            let before = client.queued.len();
            client.queued.retain(|slot| !slot.is_closed());
            clients.queued -= before - client.queued.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures_util::FutureExt;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn client(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    fn slots(most: usize) -> UpstreamSlots {
        UpstreamSlots::new(most, Arc::new(ConnectionLimit::new(1000)), PATIENCE)
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_waits_with_half_and_others_get_through() {
        let slots = slots(20);
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(slots.take(client(1)).await.unwrap());
        }
        assert!(slots.take(client(1)).now_or_never().is_none(), "it waits");
        held.push(slots.take(client(2)).await.unwrap());
        assert_eq!(slots.take(client(1)).await.unwrap_err(), NoCapacity);
        // A request with a response head no longer waits, though its body goes on.
        let (first, turn) = held.remove(0);
        drop(turn);
        let (_permit, _turn) = slots.take(client(1)).await.unwrap();
        drop(first);
    }

    /// A request that waits for a permit.
    type Taking<'p> =
        Pin<Box<dyn Future<Output = Result<(ConnectionPermit, ClientTurn<'p>), NoCapacity>> + 'p>>;

    /// Begins to wait, or fails.
    fn wait(slots: &UpstreamSlots, number: u8) -> Result<Taking<'_>, NoCapacity> {
        let mut taking: Taking<'_> = Box::pin(slots.take(client(number)));
        match (&mut taking).now_or_never() {
            None => Ok(taking),
            Some(taken) => Err(taken.map(|_| ()).expect_err("there is no permit")),
        }
    }

    /// Permits in the use of one client, whose requests no longer wait for their responses.
    async fn hold(slots: &UpstreamSlots, number: u8, count: usize) -> Vec<ConnectionPermit> {
        let mut held = Vec::new();
        for _ in 0..count {
            held.push(slots.take(client(number)).await.unwrap().0);
        }
        held
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_for_each_and_for_all() {
        let slots = slots(8);
        let mut held = hold(&slots, 1, 8).await;
        let mut waiting = Vec::new();
        for number in 1..=4 {
            let before = waiting.len();
            waiting.extend((0..40).filter_map(|_| wait(&slots, number).ok()));
            assert_eq!(waiting.len() - before, QUEUE_SHARE, "client {number}");
        }
        assert_eq!(slots.clients().queued, QUEUE);
        held.pop();
        let granted: Vec<_> = waiting.iter_mut().filter_map(FutureExt::now_or_never).collect();
        assert!(matches!(granted[..], [Ok(_)]));
        drop((granted, waiting));
        assert_eq!(slots.clients().queued, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn s48_in_a_full_queue_whoever_has_less_takes_the_place_of_whoever_has_most() {
        let slots = slots(8);
        let held = hold(&slots, 1, 8).await;
        let mut waiting: Vec<(u8, Taking<'_>)> = Vec::new();
        for number in 1..=4 {
            waiting.extend((0..QUEUE_SHARE).map(|_| (number, wait(&slots, number).unwrap())));
        }
        let mut displaced = Vec::new();
        for number in 5..=14 {
            waiting.push((
                number,
                wait(&slots, number).expect("there is room for who has nothing"),
            ));
            waiting.retain_mut(|(number, taking)| {
                let refused = taking.now_or_never();
                assert!(refused.as_ref().is_none_or(Result::is_err));
                displaced.extend(refused.iter().map(|_| *number));
                refused.is_none()
            });
        }
        // The first holds eight besides: it loses until it has no more than the others.
        assert_eq!(displaced.len(), 10, "one for one");
        assert_eq!(displaced[..8], [1; 8]);
        assert_eq!(waiting.len(), QUEUE);
        assert_eq!(slots.clients().queued, QUEUE);
        // The newest of each is what it lost.
        drop(held);
        let oldest = waiting.iter_mut().find(|(number, _)| *number == 1).unwrap();
        assert!((&mut oldest.1).now_or_never().is_some_and(|taken| taken.is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn s48_what_is_free_next_goes_to_whoever_holds_and_waits_for_least() {
        let slots = slots(8);
        let mut held = hold(&slots, 1, 8).await;
        let order = [1, 1, 1, 2, 2, 3];
        let mut waiting: Vec<_> = order
            .iter()
            .map(|&number| (number, wait(&slots, number).unwrap()))
            .collect();
        let mut served = Vec::new();
        let mut granted = Vec::new();
        while let Some(permit) = held.pop().filter(|_| !waiting.is_empty()) {
            drop(permit);
            waiting.retain_mut(|(number, taking)| match taking.now_or_never() {
                None => true,
                Some(taken) => {
                    served.push(*number);
                    granted.push(taken.unwrap());
                    false
                }
            });
        }
        assert_eq!(served, [3, 2, 2, 1, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn very_many_clients_with_one_request_each_keep_nobody_out() {
        let slots = slots(8);
        let mut held = hold(&slots, 1, 8).await;
        let mut of_one = [wait(&slots, 2).unwrap(), wait(&slots, 2).unwrap()];
        let mut others = Vec::new();
        for number in 3..=10 {
            others.push(wait(&slots, number).unwrap());
        }
        held.truncate(4);
        let served: Vec<_> = of_one.iter_mut().filter_map(FutureExt::now_or_never).collect();
        assert!(matches!(served[..], [Ok(_)]), "of four permits one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_is_given_up_goes_to_the_next() {
        let slots = slots(1);
        let held = hold(&slots, 1, 1).await;
        let first = wait(&slots, 2).unwrap();
        let second = wait(&slots, 3).unwrap();
        drop(held);
        // It was granted, and is given up before that is noticed.
        drop(first);
        drop(second.now_or_never().unwrap().unwrap());
        assert_eq!((slots.own.free(), slots.own.clients()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_are_gone_are_forgotten() {
        let slots = slots(8);
        for number in 0..100 {
            let _ = slots.take(client(number)).await.unwrap();
        }
        assert!(slots.clients().each.is_empty());
        let (permit, turn) = slots.take(client(1)).await.unwrap();
        drop(turn);
        assert!(slots.clients().each.is_empty());
        assert_eq!(slots.own.free(), 7);
        drop(permit);
        assert_eq!(slots.own.free(), 8);
        assert_eq!(slots.all.free(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn no_client_holds_the_last_permits_and_who_has_fewest_gets_what_is_free() {
        let slots = slots(20);
        let mut held = Vec::new();
        // Responses that go on: their turns are over.
        let mut is_served = |number| {
            let taken = slots.take(client(number)).now_or_never();
            let permit = taken.map(|taken| taken.unwrap().0);
            let is_there = permit.is_some();
            held.extend(permit);
            is_there
        };
        for (number, most) in [(1, 15), (2, 4), (3, 1), (4, 0)] {
            let count = (0..20).take_while(|_| is_served(number)).count();
            assert_eq!(count, most, "client {number}");
        }
        let mut of_the_first = Box::pin(slots.take(client(1)));
        assert!((&mut of_the_first).now_or_never().is_none());
        let mut of_the_fourth = Box::pin(slots.take(client(4)));
        assert!((&mut of_the_fourth).now_or_never().is_none());
        held.remove(0);
        assert!((&mut of_the_first).now_or_never().is_none());
        drop(of_the_fourth.await.unwrap());
        held.drain(..8);
        drop(of_the_first.await.unwrap());
        held.clear();
        assert_eq!((slots.own.free(), slots.own.clients()), (20, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn no_client_holds_the_last_permits_of_all_applications() {
        let all = Arc::new(ConnectionLimit::new(20));
        let applications = [20, 20, 20].map(|most| UpstreamSlots::new(most, all.clone(), PATIENCE));
        let mut held = Vec::new();
        for application in &applications {
            while let Some(taken) = application.take(client(1)).now_or_never() {
                held.push(taken.unwrap().0);
            }
        }
        assert_eq!(held.len(), 15);
        assert!(applications[0].take(client(2)).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn all_applications_together_have_no_more_than_there_are() {
        let all = Arc::new(ConnectionLimit::new(3));
        let [one, two] = [5, 2].map(|most| UpstreamSlots::new(most, all.clone(), PATIENCE));
        let mut held = vec![
            one.take(client(1)).await.unwrap(),
            one.take(client(2)).await.unwrap(),
        ];
        held.push(two.take(client(1)).await.unwrap());
        assert_eq!(two.take(client(2)).await.unwrap_err(), NoCapacity);
        assert_eq!(two.own.free(), 1, "it waits for all with none");
    }
}
