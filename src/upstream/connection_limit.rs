//! Limits connections, to one upstream or to all, and shares them fairly among clients.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use super::http1_pool::Http1Pool;
use super::response_body::OpenResponse;
use crate::request::Network;

/// Limits up to this are not divided: one client may use all of the connections.
pub(super) const UNDIVIDED: usize = 8;

/// A client may hold this many permits for each free one: alone it gets three quarters of all, one of two
/// clients three sevenths. So some are always left for the next client.
const HELD_FOR_EACH_FREE: usize = 3;

/// Every so-many-th permit goes to the oldest waiting request, so that many clients that wait for one permit
/// each do not starve a client that waits for several.
const BY_AGE_EVERY: usize = 4;

/// A response that its client has not read for so long is aborted if others wait for its permit.
const UNREAD: Duration = Duration::from_secs(10);

/// The same for a client above its share, if the waiting client holds none; shorter than requests wait.
const UNREAD_BEYOND_SHARE: Duration = Duration::from_secs(2);

/// Limits the connections to one upstream or to all. Requests in progress hold permits; idle connections hold
/// none and are closed when a new connection would exceed the limit.
///
/// A free permit goes to the client that holds the fewest, among equals to the one that waits for the fewest;
/// within a client, first come, first served.
#[derive(Debug)]
pub struct ConnectionLimit {
    most: usize,
    /// Open connections, in use or idle.
    open: AtomicUsize,
    pools: Mutex<Vec<Weak<Http1Pool>>>,
    shares: Mutex<ClientShares>,
    responses: Mutex<OpenResponses>,
}

/// Responses that hold a permit, by client; some may have ended.
#[derive(Debug, Default)]
struct OpenResponses {
    list: Vec<(Network, Weak<OpenResponse>)>,
    /// Length at which ended ones are removed.
    most: usize,
}

/// Permits held in all, and by each client that holds or waits for some.
#[derive(Debug, Default)]
struct ClientShares {
    held: usize,
    each: HashMap<Network, ClientShare>,
    /// In order of arrival. No free permit is admissible to any of them.
    waiting: Vec<WaitingRequest>,
    /// Permits granted to waiting requests.
    granted: usize,
}

/// A client's permits and waiting requests.
#[derive(Clone, Copy, Debug, Default)]
struct ClientShare {
    held: usize,
    waiting: usize,
}

/// A request that waits for a permit.
#[derive(Debug)]
struct WaitingRequest {
    client: Network,
    grant: oneshot::Sender<()>,
}

/// The receiving end of a waiting request. Dropping it leaves the queue.
#[derive(Debug)]
struct Wait<'l> {
    limit: &'l ConnectionLimit,
    client: Network,
    granted: oneshot::Receiver<()>,
}

/// A permit for one connection, charged to a client.
#[derive(Debug)]
pub(super) struct LimitPermit {
    limit: Arc<ConnectionLimit>,
    client: Network,
}

/// Counts an open connection in both limits until it is dropped.
#[derive(Debug)]
pub(super) struct OpenConnection([Arc<ConnectionLimit>; 2]);

impl Default for ConnectionLimit {
    /// A limit without bound.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl ConnectionLimit {
    /// Creates a limit of `most` connections; at least one.
    pub fn new(most: usize) -> Self {
        Self {
            most: most.clamp(1, Semaphore::MAX_PERMITS),
            open: AtomicUsize::new(0),
            pools: Mutex::default(),
            shares: Mutex::default(),
            responses: Mutex::default(),
        }
    }

    /// Returns the limit.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Returns a function that tells how many permits a client holds; it keeps the lock.
    pub(super) fn held(&self) -> impl Fn(Network) -> usize {
        let shares = self.shares();
        move |client| shares.of(client).held
    }

    /// Returns a permit if the client may have a free one. This skips no waiting request: those may not have
    /// it.
    pub(super) fn try_take(self: &Arc<Self>, client: Network) -> Option<LimitPermit> {
        let mut shares = self.shares();
        if !self.admits(&shares, client) {
            return None;
        }
        shares.hold(client);
        drop(shares);
        Some(LimitPermit {
            limit: self.clone(),
            client,
        })
    }

    /// Waits for a permit.
    #[expect(
        clippy::expect_used,
        reason = "only granting, or dropping the wait, removes a waiting request"
    )]
    pub(super) async fn take(self: &Arc<Self>, client: Network) -> LimitPermit {
        if let Some(permit) = self.try_take(client) {
            return permit;
        }
        let mut wait = self.wait(client);
        (&mut wait.granted)
            .await
            .expect("a waiting request is granted a permit");
        LimitPermit {
            limit: self.clone(),
            client,
        }
    }

    fn wait(&self, client: Network) -> Wait<'_> {
        let (grant, granted) = oneshot::channel();
        let mut shares = self.shares();
        shares.each.entry(client).or_default().waiting += 1;
        shares.waiting.push(WaitingRequest { client, grant });
        // A permit may have become free after the check.
        self.grant(&mut shares);
        drop(shares);
        Wait {
            limit: self,
            client,
            granted,
        }
    }

    /// Grants free permits to waiting requests that may have them.
    fn grant(&self, shares: &mut ClientShares) {
        while let Some(next) = self.next(shares) {
            let WaitingRequest { client, grant } = shares.waiting.remove(next);
            shares.waits_no_longer(client);
            if grant.send(()).is_ok() {
                shares.hold(client);
                shares.granted = shares.granted.wrapping_add(1);
            }
        }
    }

    /// Returns the index of the waiting request that is next.
    fn next(&self, shares: &ClientShares) -> Option<usize> {
        let is_by_age = shares.granted % BY_AGE_EVERY == BY_AGE_EVERY - 1;
        let waiting = shares.waiting.iter().enumerate();
        let admitted = waiting.filter(|(_, waiting)| self.admits(shares, waiting.client));
        let next = admitted.min_by_key(|(at, waiting)| {
            let share = shares.of(waiting.client);
            (share.held, if is_by_age { 0 } else { share.waiting }, *at)
        });
        next.map(|(at, _)| at)
    }

    fn give_back(&self, shares: &mut ClientShares, client: Network) {
        shares.held -= 1;
        shares.change(client, |share| share.held -= 1);
        self.grant(shares);
    }

    /// Aborts an unread response if this client finds no permit: one of its own, or of a client that holds
    /// more.
    pub(super) fn reclaim(&self, client: Network) {
        if self.admits(&self.shares(), client) {
            return;
        }
        let responses = self.responses.lock().unwrap_or_else(PoisonError::into_inner);
        let there: Vec<_> = responses
            .list
            .iter()
            .filter_map(|(of, response)| Some((*of, response.upgrade()?)))
            .collect();
        drop(responses);
        let unread: Vec<_> = there
            .iter()
            .filter_map(|(of, response)| Some((*of, response.unread_for()?, response)))
            .collect();
        let shares = self.shares();
        let held = |of: Network| shares.of(of).held;
        let own = held(client);
        let clients = shares.each.len() + usize::from(!shares.each.contains_key(&client));
        let is_beyond_share = |of: Network| held(of).saturating_mul(clients) > self.most;
        let patience = |of: Network| {
            if own == 0 && is_beyond_share(of) {
                UNREAD_BEYOND_SHARE
            } else {
                UNREAD
            }
        };
        let chosen = unread
            .into_iter()
            .filter(|(of, ..)| *of == client || held(*of) > own)
            .filter(|(of, time, _)| *time >= patience(*of))
            .max_by_key(|(of, time, _)| (held(*of), *time));
        drop(shares);
        if let Some((_, _, response)) = chosen {
            response.break_off();
        }
    }

    fn admits(&self, shares: &ClientShares, client: Network) -> bool {
        let free = self.most.saturating_sub(shares.held);
        if free == 0 || self.most <= UNDIVIDED {
            return free > 0;
        }
        let own = shares.of(client).held;
        own == 0 || own < free.saturating_mul(HELD_FOR_EACH_FREE)
    }

    fn lend(&self, client: Network, response: &Arc<OpenResponse>) {
        let mut responses = self.responses.lock().unwrap_or_else(PoisonError::into_inner);
        if responses.list.len() >= responses.most {
            responses.list.retain(|(_, response)| response.strong_count() > 0);
            responses.most = 2 * responses.list.len() + UNDIVIDED;
        }
        responses.list.push((client, Arc::downgrade(response)));
    }

    fn shares(&self) -> MutexGuard<'_, ClientShares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a pool whose idle connections may be closed to make room.
    pub(super) fn register(&self, pool: &Arc<Http1Pool>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        // Pools of replaced configurations.
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    /// Closes an idle connection if the limit is reached.
    pub(super) fn make_room(&self) {
        if self.open.load(Ordering::Relaxed) >= self.most {
            let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = pools
                .iter()
                .filter_map(Weak::upgrade)
                .any(|pool| pool.close_one());
        }
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.most - self.shares().held
    }

    #[cfg(test)]
    pub(super) fn clients(&self) -> usize {
        self.shares().each.len()
    }
}

impl ClientShares {
    fn of(&self, client: Network) -> ClientShare {
        self.each.get(&client).copied().unwrap_or_default()
    }

    fn hold(&mut self, client: Network) {
        self.held += 1;
        self.each.entry(client).or_default().held += 1;
    }

    fn waits_no_longer(&mut self, client: Network) {
        self.change(client, |share| share.waiting -= 1);
    }

    /// Applies a change, and removes the client if it neither holds nor waits.
    fn change(&mut self, client: Network, change: impl FnOnce(&mut ClientShare)) {
        if let Some(share) = self.each.get_mut(&client) {
            change(share);
            if share.held == 0 && share.waiting == 0 {
                self.each.remove(&client);
            }
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut shares = self.limit.shares();
        self.granted.close();
        if self.granted.try_recv().is_ok() {
            // Granted while the request was being cancelled.
            self.limit.give_back(&mut shares, self.client);
            return;
        }
        let own = shares
            .waiting
            .iter()
            .position(|waiting| waiting.grant.is_closed());
        if let Some(own) = own {
            shares.waiting.remove(own);
            shares.waits_no_longer(self.client);
        }
    }
}

impl LimitPermit {
    /// Registers a response that holds this permit and may be aborted to free it.
    pub(super) fn lend(&self, response: &Arc<OpenResponse>) {
        self.limit.lend(self.client, response);
    }
}

impl Drop for LimitPermit {
    fn drop(&mut self) {
        self.limit.give_back(&mut self.limit.shares(), self.client);
    }
}

impl OpenConnection {
    pub(super) fn count(limits: [Arc<ConnectionLimit>; 2]) -> Self {
        for limit in &limits {
            limit.open.fetch_add(1, Ordering::Relaxed);
        }
        Self(limits)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        for limit in &self.0 {
            limit.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
