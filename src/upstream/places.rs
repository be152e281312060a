//! How many connections to applications there may be, and whose turn it is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{AcquireError, Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::pool::Pool;
use super::response_body::OpenResponse;
use crate::request::Network;

/// Requests that may wait for a connection to one application.
const QUEUE: usize = 128;

/// Those of one client among them.
const QUEUE_SHARE: usize = QUEUE / 4;

/// An application with no more connections than this may be waited for by one client with all of them, and all of them
/// be in its use.
const UNDIVIDED: usize = 8;

/// For each place that is free a client may hold so many: alone three quarters, one of two clients three sevenths.
/// However many each of them asks for, some are left for the next.
const HELD_FOR_EACH_FREE: usize = 3;

/// An answer of which the client takes nothing for so long is broken off when others wait for its place.
const UNREAD: Duration = Duration::from_secs(10);

/// How often who waits looks for one.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// Bounds connections, to one application or to all. A place is held by a request that is under way; connections that
/// are idle hold none, and are closed when a new one would be one too many.
#[derive(Debug)]
pub struct ConnectionLimit {
    most: usize,
    places: Arc<Semaphore>,
    /// Connections that are open, in use or idle.
    open: AtomicUsize,
    pools: Mutex<Vec<Weak<Pool>>>,
    shares: Mutex<Shares>,
    /// A share was given back, with its place.
    freed: Notify,
    answers: Mutex<OpenResponses>,
}

/// Answers that hold a place, and whose they are; some of them are over.
#[derive(Debug, Default)]
struct OpenResponses {
    list: Vec<(Network, Weak<OpenResponse>)>,
    /// With more than these, those that are over are forgotten.
    most: usize,
}

/// Places that are held or about to be: all, and those of each client that has some.
#[derive(Debug, Default)]
struct Shares {
    all: usize,
    each: HashMap<Network, usize>,
}

/// One of the places of a limit, and a client's share of them. The place is free before the share is.
#[derive(Debug)]
struct LimitPlace {
    _place: OwnedSemaphorePermit,
    share: Share,
}

/// A place counted among its client's.
#[derive(Debug)]
struct Share {
    limit: Arc<ConnectionLimit>,
    client: Network,
}

/// What a connection counts as for as long as it is open.
#[derive(Debug)]
pub(super) struct OpenConnection([Arc<ConnectionLimit>; 2]);

/// The places at one application.
#[derive(Debug)]
pub(super) struct Places {
    own: Arc<ConnectionLimit>,
    all: Arc<ConnectionLimit>,
    /// Requests of one client that may wait for their answers at one time.
    share: usize,
    /// How long a request waits for a place.
    patience: Duration,
    clients: Mutex<Clients>,
}

/// What clients wait for. Has those alone that have requests here.
#[derive(Debug, Default)]
struct Clients {
    queued: usize,
    each: HashMap<Network, ClientRequests>,
}

#[derive(Debug)]
struct ClientRequests {
    turns: Arc<Semaphore>,
    requests: usize,
    queued: usize,
}

/// Leave to use a connection. Held until the answer is over, or the tunnel.
#[derive(Debug)]
pub struct Place {
    own: LimitPlace,
    all: LimitPlace,
    _tunnel: Option<OpenConnection>,
}

/// One of the requests with which a client waits for answers. Held until the head of its answer is there.
#[derive(Debug)]
pub(super) struct Turn<'p> {
    _client: ClientRequest<'p>,
    _turn: OwnedSemaphorePermit,
}

/// There is no place, and too many requests wait for one, or waited too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoPlace;

impl Default for ConnectionLimit {
    /// No limit but those of each application.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl ConnectionLimit {
    /// So many at one time; at least one.
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            most,
            places: Arc::new(Semaphore::new(most)),
            open: AtomicUsize::new(0),
            pools: Mutex::default(),
            shares: Mutex::default(),
            freed: Notify::new(),
            answers: Mutex::default(),
        }
    }

    fn try_take(self: &Arc<Self>, client: Network) -> Option<LimitPlace> {
        let share = self.try_share(client)?;
        let place = self.places.clone().try_acquire_owned().ok()?;
        Some(LimitPlace { _place: place, share })
    }

    /// Waits for the client's share first: whoever has had it keeps no place from others meanwhile.
    async fn take(self: &Arc<Self>, client: Network) -> Result<LimitPlace, AcquireError> {
        let share = loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            match self.try_share(client) {
                Some(share) => break share,
                None => freed.await,
            }
        };
        Ok(LimitPlace {
            _place: self.places.clone().acquire_owned().await?,
            share,
        })
    }

    fn try_share(self: &Arc<Self>, client: Network) -> Option<Share> {
        let mut shares = self.shares();
        if !self.admits(&shares, client) {
            return None;
        }
        shares.all += 1;
        *shares.each.entry(client).or_default() += 1;
        drop(shares);
        Some(Share {
            limit: self.clone(),
            client,
        })
    }

    /// Breaks off an answer that nobody reads where this client finds no place: one of its own, or of a client that has
    /// more places than it.
    fn reclaim(&self, client: Network) {
        if self.has_room_for(client) {
            return;
        }
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let there: Vec<_> = answers
            .list
            .iter()
            .filter_map(|(of, answer)| Some((*of, answer.upgrade()?)))
            .collect();
        drop(answers);
        let unread: Vec<_> = there
            .iter()
            .filter_map(|(of, answer)| Some((of, answer.unread_for()?, answer)))
            .filter(|(_, time, _)| *time >= UNREAD)
            .collect();
        let shares = self.shares();
        let held = |of: &Network| shares.each.get(of).copied().unwrap_or(0);
        let own = held(&client);
        let chosen = unread
            .into_iter()
            .filter(|(of, ..)| **of == client || held(of) > own)
            .max_by_key(|(of, time, _)| (held(of), *time));
        drop(shares);
        if let Some((_, _, answer)) = chosen {
            answer.break_off();
        }
    }

    fn has_room_for(&self, client: Network) -> bool {
        self.places.available_permits() > 0 && self.admits(&self.shares(), client)
    }

    fn admits(&self, shares: &Shares, client: Network) -> bool {
        let own = shares.each.get(&client).copied().unwrap_or(0);
        let free = self.most.saturating_sub(shares.all);
        self.most <= UNDIVIDED || own == 0 || own < free.saturating_mul(HELD_FOR_EACH_FREE)
    }

    fn lend(&self, client: Network, answer: &Arc<OpenResponse>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.list.len() >= answers.most {
            answers.list.retain(|(_, answer)| answer.strong_count() > 0);
            answers.most = 2 * answers.list.len() + UNDIVIDED;
        }
        answers.list.push((client, Arc::downgrade(answer)));
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, pool: &Arc<Pool>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of configurations that were replaced.
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    /// Closes an idle connection if there are as many as there may be.
    fn make_room(&self) {
        if self.open.load(Ordering::Relaxed) >= self.most {
            let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = pools
                .iter()
                .filter_map(Weak::upgrade)
                .any(|pool| pool.close_one());
        }
    }
}

impl Place {
    /// An answer holds it, and gives it back sooner if nobody reads it.
    pub(super) fn lend(&self, answer: &Arc<OpenResponse>) {
        for LimitPlace { share, .. } in [&self.own, &self.all] {
            share.limit.lend(share.client, answer);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.limit.shares();
        shares.all -= 1;
        if let Some(own) = shares.each.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                shares.each.remove(&self.client);
            }
        }
        drop(shares);
        self.limit.freed.notify_waiters();
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        for limit in &self.0 {
            limit.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Places {
    pub(super) fn new(most: usize, all: Arc<ConnectionLimit>, patience: Duration) -> Self {
        let own = Arc::new(ConnectionLimit::new(most.min(all.most)));
        Self {
            share: (own.most / 2).max(UNDIVIDED).min(own.most),
            own,
            all,
            patience,
            clients: Mutex::default(),
        }
    }

    /// Has idle connections of a server closed where another one needs the room.
    pub(super) fn register(&self, pool: &Arc<Pool>) {
        self.own.register(pool);
        self.all.register(pool);
    }

    /// Counts a connection that is about to be made, by whoever has a place.
    pub(super) fn open(&self) -> OpenConnection {
        self.own.make_room();
        self.all.make_room();
        self.count()
    }

    fn count(&self) -> OpenConnection {
        let limits = [self.own.clone(), self.all.clone()];
        for limit in &limits {
            limit.open.fetch_add(1, Ordering::Relaxed);
        }
        OpenConnection(limits)
    }

    /// A place, at once or after a short wait.
    ///
    /// Of the requests that wait for their answers, of those that wait for a place, and of the places, one client has a
    /// share: however many it sends to an application that is slow, and however little it takes of the answers, others
    /// get through.
    pub(super) async fn take(&self, client: IpAddr) -> Result<(Place, Turn<'_>), NoPlace> {
        let client = ClientRequest::begin(self, client.into());
        let network = client.network;
        let turns = client.turns();
        let at_once = || {
            let turn = turns.clone().try_acquire_owned().ok()?;
            let own = self.own.try_take(network)?;
            let all = self.all.try_take(network)?;
            Some((turn, own, all))
        };
        let (turn, own, all) = if let Some(taken) = at_once() {
            taken
        } else {
            let _queued = Queued::enter(&client).ok_or(NoPlace)?;
            let waited = async {
                let turn = turns.acquire_owned().await?;
                let own = self.own.take(network).await?;
                let all = self.all.take(network).await?;
                Ok::<_, AcquireError>((turn, own, all))
            };
            let mut waited = std::pin::pin!(timeout(self.patience, waited));
            let waited = loop {
                for limit in [&self.own, &self.all] {
                    limit.reclaim(network);
                }
                if let Ok(waited) = timeout(LOOKS_EVERY, &mut waited).await {
                    break waited;
                }
            };
            waited.map_err(|_| NoPlace)?.map_err(|_| NoPlace)?
        };
        let place = Place {
            own,
            all,
            _tunnel: None,
        };
        let turn = Turn {
            _client: client,
            _turn: turn,
        };
        Ok((place, turn))
    }

    /// A tunnel's connection is no longer counted by who serves connections, though it is open.
    pub(super) fn keep_open(&self, place: Place) -> Place {
        Place {
            _tunnel: Some(self.count()),
            ..place
        }
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request counted among its client's.
#[derive(Debug)]
struct ClientRequest<'p> {
    places: &'p Places,
    network: Network,
}

impl<'p> ClientRequest<'p> {
    fn begin(places: &'p Places, network: Network) -> Self {
        let mut clients = places.clients();
        let client = clients.each.entry(network).or_insert_with(|| ClientRequests {
            turns: Arc::new(Semaphore::new(places.share)),
            requests: 0,
            queued: 0,
        });
        client.requests += 1;
        drop(clients);
        Self { places, network }
    }

    fn turns(&self) -> Arc<Semaphore> {
        let clients = self.places.clients();
        let client = clients.each.get(&self.network);
        client.map_or_else(|| Arc::new(Semaphore::new(0)), |client| client.turns.clone())
    }
}

impl Drop for ClientRequest<'_> {
    fn drop(&mut self) {
        let mut clients = self.places.clients();
        if let Some(client) = clients.each.get_mut(&self.network) {
            client.requests -= 1;
            if client.requests == 0 {
                clients.each.remove(&self.network);
            }
        }
    }
}

/// A place in the queue.
struct Queued<'c, 'p>(&'c ClientRequest<'p>);

impl<'c, 'p> Queued<'c, 'p> {
    fn enter(request: &'c ClientRequest<'p>) -> Option<Self> {
        let mut clients = request.places.clients();
        let queued = clients.queued;
        let client = clients.each.get_mut(&request.network)?;
        if queued >= QUEUE || client.queued >= QUEUE_SHARE {
            return None;
        }
        client.queued += 1;
        clients.queued += 1;
        Some(Self(request))
    }
}

impl Drop for Queued<'_, '_> {
    fn drop(&mut self) {
        let mut clients = self.0.places.clients();
        clients.queued -= 1;
        if let Some(client) = clients.each.get_mut(&self.0.network) {
            client.queued -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn client(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    fn places(most: usize) -> Places {
        Places::new(most, Arc::new(ConnectionLimit::new(1000)), PATIENCE)
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_waits_with_half_and_others_get_through() {
        let places = places(20);
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(places.take(client(1)).await.unwrap());
        }
        assert!(places.take(client(1)).now_or_never().is_none(), "it waits");
        held.push(places.take(client(2)).await.unwrap());
        assert_eq!(places.take(client(1)).await.unwrap_err(), NoPlace);
        // What is answered no longer waits, though its answer goes on.
        let (first, turn) = held.remove(0);
        drop(turn);
        let (_place, _turn) = places.take(client(1)).await.unwrap();
        drop(first);
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_for_each_and_for_all() {
        let places = places(8);
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(places.take(client(1)).await.unwrap());
        }
        let mut waiting = Vec::new();
        let mut wait = |number| {
            let mut take = Box::pin(places.take(client(number)));
            match (&mut take).now_or_never() {
                None => {
                    waiting.push(take);
                    true
                }
                Some(taken) => {
                    assert_eq!(taken.unwrap_err(), NoPlace);
                    false
                }
            }
        };
        for number in 1..=4 {
            let queued = (0..40).filter(|_| wait(number)).count();
            assert_eq!(queued, QUEUE_SHARE, "client {number}");
        }
        assert!(!wait(5), "the queue is full");
        held.pop();
        assert!(
            waiting.swap_remove(QUEUE_SHARE).await.is_ok(),
            "the first is next"
        );
        drop(waiting);
        assert_eq!(places.clients().queued, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_are_gone_are_forgotten() {
        let places = places(8);
        for number in 0..100 {
            let _ = places.take(client(number)).await.unwrap();
        }
        assert!(places.clients().each.is_empty());
        let (place, turn) = places.take(client(1)).await.unwrap();
        drop(turn);
        assert!(places.clients().each.is_empty());
        assert_eq!(places.own.places.available_permits(), 7);
        drop(place);
        assert_eq!(places.own.places.available_permits(), 8);
        assert_eq!(places.all.places.available_permits(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn no_client_holds_the_last_places_and_who_has_fewest_gets_what_is_free() {
        let places = places(20);
        let mut held = Vec::new();
        // OpenResponses that go on: their turns are over.
        let mut is_served = |number| {
            let taken = places.take(client(number)).now_or_never();
            let place = taken.map(|taken| taken.unwrap().0);
            let is_there = place.is_some();
            held.extend(place);
            is_there
        };
        for (number, most) in [(1, 15), (2, 4), (3, 1), (4, 0)] {
            let count = (0..20).take_while(|_| is_served(number)).count();
            assert_eq!(count, most, "client {number}");
        }
        let mut of_the_first = Box::pin(places.take(client(1)));
        assert!((&mut of_the_first).now_or_never().is_none());
        let mut of_the_fourth = Box::pin(places.take(client(4)));
        assert!((&mut of_the_fourth).now_or_never().is_none());
        held.remove(0);
        assert!((&mut of_the_first).now_or_never().is_none());
        drop(of_the_fourth.await.unwrap());
        held.drain(..8);
        drop(of_the_first.await.unwrap());
        held.clear();
        let shares = places.own.shares();
        assert_eq!((shares.all, shares.each.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn no_client_holds_the_last_places_of_all_applications() {
        let all = Arc::new(ConnectionLimit::new(20));
        let applications = [20, 20, 20].map(|most| Places::new(most, all.clone(), PATIENCE));
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
        let [one, two] = [5, 2].map(|most| Places::new(most, all.clone(), PATIENCE));
        let mut held = vec![
            one.take(client(1)).await.unwrap(),
            one.take(client(2)).await.unwrap(),
        ];
        held.push(two.take(client(1)).await.unwrap());
        assert_eq!(two.take(client(2)).await.unwrap_err(), NoPlace);
        assert_eq!(
            two.own.places.available_permits(),
            1,
            "it waits for all with none"
        );
    }
}
