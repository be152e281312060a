//! How many connections there may be, to one application or to all, and who gets the next one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use super::pool::Pool;
use super::response_body::OpenResponse;
use crate::request::Network;

/// An application with no more connections than this may be waited for by one client with all of them, and all of them
/// be in its use.
pub(super) const UNDIVIDED: usize = 8;

/// For each place that is free a client may hold so many: alone three quarters, one of two clients three sevenths.
/// However many each of them asks for, some are left for the next.
const HELD_FOR_EACH_FREE: usize = 3;

/// Of so many places that others wait for, one goes by age alone: very many clients that wait for one place each keep
/// nobody out who waits for several.
const BY_AGE_EVERY: usize = 4;

/// An answer of which the client takes nothing for so long is broken off when others wait for its place.
const UNREAD: Duration = Duration::from_secs(10);

/// The same where its client holds more than its part and who waits holds none: within the time for which requests wait.
const UNREAD_BEYOND_SHARE: Duration = Duration::from_secs(2);

/// Bounds connections, to one application or to all. A place is held by a request that is under way; connections that
/// are idle hold none, and are closed when a new one would be one too many.
///
/// A place that becomes free goes to the client that holds fewest, of several to the one that waits for fewest; a
/// client's own requests get them in the order in which they came.
#[derive(Debug)]
pub struct ConnectionLimit {
    most: usize,
    /// Connections that are open, in use or idle.
    open: AtomicUsize,
    pools: Mutex<Vec<Weak<Pool>>>,
    shares: Mutex<ClientShares>,
    answers: Mutex<OpenResponses>,
}

/// Answers that hold a place, and whose they are; some of them are over.
#[derive(Debug, Default)]
struct OpenResponses {
    list: Vec<(Network, Weak<OpenResponse>)>,
    /// With more than these, those that are over are forgotten.
    most: usize,
}

/// Places that are held: all, and those of each client that holds or waits for some.
#[derive(Debug, Default)]
struct ClientShares {
    held: usize,
    each: HashMap<Network, ClientShare>,
    /// In the order in which they came. None of them could have one of the places that are free.
    waiting: Vec<WaitingRequests>,
    /// How many places those who waited got.
    granted: usize,
}

/// A client's part.
#[derive(Clone, Copy, Debug, Default)]
struct ClientShare {
    held: usize,
    waiting: usize,
}

/// Somebody who waits for a place.
#[derive(Debug)]
struct WaitingRequests {
    client: Network,
    grant: oneshot::Sender<()>,
}

/// The other end of it. Waits no longer once it is dropped.
#[derive(Debug)]
struct Wait<'l> {
    limit: &'l ConnectionLimit,
    client: Network,
    granted: oneshot::Receiver<()>,
}

/// One of the places of a limit, counted among its client's.
#[derive(Debug)]
pub(super) struct LimitPermit {
    limit: Arc<ConnectionLimit>,
    client: Network,
}

/// What a connection counts as for as long as it is open.
#[derive(Debug)]
pub(super) struct OpenConnection([Arc<ConnectionLimit>; 2]);

impl Default for ConnectionLimit {
    /// No limit but those of each application.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl ConnectionLimit {
    /// So many at one time; at least one.
    pub fn new(most: usize) -> Self {
        Self {
            most: most.clamp(1, Semaphore::MAX_PERMITS),
            open: AtomicUsize::new(0),
            pools: Mutex::default(),
            shares: Mutex::default(),
            answers: Mutex::default(),
        }
    }

    /// How many at one time.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// How many places each client holds.
    pub(super) fn held(&self) -> impl Fn(Network) -> usize {
        let shares = self.shares();
        move |client| shares.of(client).held
    }

    /// A place, if the client may have one that is free. Nobody is passed over: whoever waits could not have it.
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

    /// A place as soon as it is the client's turn. `None` never comes.
    pub(super) async fn take(self: &Arc<Self>, client: Network) -> Option<LimitPermit> {
        if let Some(place) = self.try_take(client) {
            return Some(place);
        }
        let mut wait = self.wait(client);
        (&mut wait.granted).await.ok()?;
        Some(LimitPermit {
            limit: self.clone(),
            client,
        })
    }

    fn wait(&self, client: Network) -> Wait<'_> {
        let (grant, granted) = oneshot::channel();
        let mut shares = self.shares();
        shares.each.entry(client).or_default().waiting += 1;
        shares.waiting.push(WaitingRequests { client, grant });
        // One may have become free since it was looked for.
        self.grant(&mut shares);
        drop(shares);
        Wait {
            limit: self,
            client,
            granted,
        }
    }

    /// Gives what is free to those who wait and may have it.
    fn grant(&self, shares: &mut ClientShares) {
        while let Some(next) = self.next(shares) {
            let WaitingRequests { client, grant } = shares.waiting.remove(next);
            shares.waits_no_longer(client);
            if grant.send(()).is_ok() {
                shares.hold(client);
                shares.granted = shares.granted.wrapping_add(1);
            }
        }
    }

    /// Whose turn it is of those who wait.
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

    /// Breaks off an answer that nobody reads where this client finds no place: one of its own, or of a client that has
    /// more places than it.
    pub(super) fn reclaim(&self, client: Network) {
        if self.admits(&self.shares(), client) {
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
            .filter_map(|(of, answer)| Some((*of, answer.unread_for()?, answer)))
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
        if let Some((_, _, answer)) = chosen {
            answer.break_off();
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

    fn lend(&self, client: Network, answer: &Arc<OpenResponse>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.list.len() >= answers.most {
            answers.list.retain(|(_, answer)| answer.strong_count() > 0);
            answers.most = 2 * answers.list.len() + UNDIVIDED;
        }
        answers.list.push((client, Arc::downgrade(answer)));
    }

    fn shares(&self) -> MutexGuard<'_, ClientShares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has idle connections of a server closed where another one needs the room.
    pub(super) fn register(&self, pool: &Arc<Pool>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of configurations that were replaced.
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    /// Closes an idle connection if there are as many as there may be.
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

    /// Clients that neither hold nor wait for places are forgotten.
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
            // Granted in the moment in which nobody wanted it any more.
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
    /// An answer holds it, and gives it back sooner if nobody reads it.
    pub(super) fn lend(&self, answer: &Arc<OpenResponse>) {
        self.limit.lend(self.client, answer);
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
