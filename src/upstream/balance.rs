//! Balances requests over the servers of an upstream, and checks their health.

use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::health::Health;
use super::server::Server;
use crate::config::Balance;
use crate::warning_limit::WarningLimit;

/// Least time between two checks, when a server is suspected.
const CHECKED_AGAIN: Duration = Duration::from_millis(500);

/// The servers of an upstream, and the strategy by which one is chosen for a request.
pub(super) struct Balancer {
    servers: Box<[Server]>,
    balance: Balance,
    /// Indexes of servers, each as often as its weight says and spread over the whole.
    rotation: Box<[usize]>,
    turn: AtomicUsize,
    interval: Duration,
    /// Triggers a check ahead of time.
    suspected: Arc<Notify>,
    /// Limits the warnings about suspected servers.
    warnings: Arc<WarningLimit>,
}

/// Reports the outcome of a response: [`raise`](Self::raise) on failure, now or during the body, or
/// [`dismiss`](Self::dismiss) once it is complete.
#[derive(Debug)]
pub(super) struct Suspicion {
    health: Arc<Health>,
    checks: Arc<Notify>,
    warnings: Arc<WarningLimit>,
    server: Arc<str>,
}

impl Suspicion {
    /// Reports a failure. After as many as are allowed others are preferred for a while, and until the server responds to a
    /// probe.
    pub(super) fn raise(self, reason: &str) {
        if let Some(left_out) = self.health.fail() {
            self.checks.notify_one();
            if let Some(unlogged) = self.warnings.admit() {
                let server = self.server;
                tracing::warn!(%server, reason, ?left_out, unlogged, "others are asked until a server answers a probe");
            }
        }
    }

    /// Reports a complete response.
    pub(super) fn dismiss(self) {
        self.health.succeed();
    }
}

/// The servers that one request was already sent to, and by what it is balanced.
#[derive(Debug, Default)]
pub(super) struct Selection {
    tried: Vec<usize>,
    /// What has the same server each time, with [`Balance::Hash`].
    key: u64,
}

impl Balancer {
    /// Creates a balancer; `None` without servers.
    pub(super) fn new(servers: Vec<Server>, balance: Balance, interval: Duration) -> Option<Self> {
        if servers.is_empty() {
            return None;
        }
        let weights: Vec<u16> = servers.iter().map(Server::weight).collect();
        Some(Self {
            servers: servers.into(),
            balance,
            rotation: rotation(&weights),
            turn: AtomicUsize::new(0),
            interval,
            suspected: Arc::default(),
            warnings: Arc::default(),
        })
    }

    pub(super) fn servers(&self) -> &[Server] {
        &self.servers
    }

    pub(super) fn balance(&self) -> Balance {
        self.balance
    }

    /// Whether there is more than one server.
    pub(super) fn has_several(&self) -> bool {
        self.servers.len() > 1
    }

    /// Begins the selection of a server for a request. `hash` writes what it is balanced by, if that counts.
    pub(super) fn begin(&self, hash: impl FnOnce(&mut DefaultHasher)) -> Selection {
        let mut selection = Selection::default();
        if self.has_several() && self.balance == Balance::Hash {
            let mut hasher = DefaultHasher::new();
            hash(&mut hasher);
            selection.key = hasher.finish();
        }
        selection
    }

    /// Returns a reporter for the server's response; `None` for a single server, which is always used.
    pub(super) fn suspicion(&self, server: &Server) -> Option<Suspicion> {
        self.has_several().then(|| Suspicion {
            health: server.health().clone(),
            checks: self.suspected.clone(),
            warnings: self.warnings.clone(),
            server: server.name().clone(),
        })
    }

    /// Returns the next server that was not tried: by the strategy, one that is up and not suspect; failing that, one that
    /// is up; failing that, any.
    pub(super) fn next(&self, selection: &mut Selection) -> Option<&Server> {
        if !self.has_several() {
            let is_new = selection.tried.is_empty();
            selection.tried.push(0);
            return self.servers.first().filter(|_| is_new);
        }
        let index = self
            .select(selection, is_sound)
            .or_else(|| self.select(selection, |server| !server.health().is_down()))
            .or_else(|| (0..self.servers.len()).find(|index| !selection.tried.contains(index)))?;
        selection.tried.push(index);
        self.servers.get(index)
    }

    /// Like [`next`](Self::next), but returns only a server that is up and not suspect.
    pub(super) fn next_sound(&self, selection: &mut Selection) -> Option<&Server> {
        let index = self.select(selection, is_sound)?;
        selection.tried.push(index);
        self.servers.get(index)
    }

    /// Returns the index of the server that the strategy prefers among those that were not tried and are admitted.
    fn select(&self, selection: &Selection, admits: impl Fn(&Server) -> bool) -> Option<usize> {
        let admitted = |index: usize| {
            let server = self.servers.get(index)?;
            (!selection.tried.contains(&index) && admits(server)).then_some((index, server))
        };
        match self.balance {
            Balance::RoundRobin => self.next_in_turn(admitted),
            Balance::LeastLoaded => self.least_loaded(admitted),
            Balance::Hash => {
                let admitted = (0..self.servers.len()).filter_map(admitted);
                let distances = admitted.map(|(index, server)| (index, distance(selection.key, server)));
                let nearest = distances.min_by(|(_, one), (_, other)| one.total_cmp(other));
                nearest.map(|(index, _)| index)
            }
        }
    }

    fn next_in_turn<'s>(&'s self, admitted: impl Fn(usize) -> Option<(usize, &'s Server)>) -> Option<usize> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let takes_turn = |server: &Server| {
            let share = server.health().share();
            share >= 1.0 || part(turn) < share
        };
        let length = self.rotation.len();
        let next = admitted(*self.rotation.get(turn % length)?);
        if let Some((index, _)) = next.filter(|(_, server)| takes_turn(server)) {
            return Some(index);
        }
        // The turns of a server that is left out are for all others alike, not for its neighbour.
        let others: Vec<_> = self.rotation.iter().copied().filter_map(admitted).collect();
        let begin = (turn / length).wrapping_add(turn % length);
        let after = |step: usize| others.get(begin.wrapping_add(step) % others.len());
        let taking = (0..others.len())
            .filter_map(after)
            .find(|(_, server)| takes_turn(server));
        taking.or(others.first()).map(|(index, _)| *index)
    }

    fn least_loaded<'s>(&'s self, admitted: impl Fn(usize) -> Option<(usize, &'s Server)>) -> Option<usize> {
        let admitted = (0..self.servers.len()).filter_map(admitted);
        let loads: Vec<(usize, f64)> = admitted.map(|(index, server)| (index, server.load())).collect();
        let least = loads.iter().map(|(_, load)| *load).min_by(f64::total_cmp)?;
        let alike = loads.iter().filter(|(_, load)| *load <= least);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % alike.clone().count();
        alike.map(|(index, _)| *index).nth(turn)
    }

    /// Checks the servers at intervals, and suspects as soon as they may be readmitted. Never returns.
    pub(super) async fn run_health_checks(&self) {
        if !self.servers.iter().any(Server::is_checked) && !self.has_several() {
            return;
        }
        let mut last = None::<Instant>;
        loop {
            let began = Instant::now();
            let is_periodic = last.is_none_or(|last| began >= last + self.interval);
            if is_periodic {
                last = Some(began);
            }
            let checks = self.servers.iter().map(|server| server.check_health(is_periodic));
            futures_util::future::join_all(checks).await;
            tokio::time::sleep(CHECKED_AGAIN.min(self.interval)).await;
            let periodic = last.map_or(began, |last| last + self.interval);
            let next = self.due_after(began).map_or(periodic, |due| due.min(periodic));
            let wait = next.saturating_duration_since(Instant::now());
            let _ = timeout(wait, self.suspected.notified()).await;
        }
    }

    /// Returns when the next suspect is due that was not at the last check. One that was and did not respond is probed with
    /// all others.
    fn due_after(&self, last: Instant) -> Option<Instant> {
        let due = self.servers.iter().filter_map(|server| server.health().due());
        due.filter(|due| *due > last).min()
    }
}

fn is_sound(server: &Server) -> bool {
    !server.health().is_down() && !server.health().is_suspect()
}

/// Returns servers' indexes, each as often as its weight says: always the one that is the farthest behind its share.
fn rotation(weights: &[u16]) -> Box<[usize]> {
    let all: u32 = weights.iter().copied().map(u32::from).sum();
    // Alike, however they are written.
    if weights.iter().all(|weight| weights.first() == Some(weight)) {
        return (0..weights.len()).collect();
    }
    let mut behind: Vec<i64> = vec![0; weights.len()];
    let turns = (0..all).filter_map(|_| {
        for (behind, weight) in behind.iter_mut().zip(weights) {
            *behind += i64::from(*weight);
        }
        let most = *behind.iter().max()?;
        let index = behind.iter().position(|behind| *behind == most)?;
        behind[index] -= i64::from(all);
        Some(index)
    });
    turns.collect()
}

/// Returns a number from 0 to 1 for a turn, without a pattern over neighbouring turns.
fn part(turn: usize) -> f64 {
    fraction(hash_of(turn))
}

/// Returns how far a server is from a key: of rendezvous hashing with weights, by which a server that goes or comes moves no
/// keys but its own.
fn distance(key: u64, server: &Server) -> f64 {
    -fraction(hash_of((key, server.name()))).ln() / f64::from(server.weight())
}

fn hash_of(value: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Maps a hash to a number above 0 and below 1.
fn fraction(hash: u64) -> f64 {
    let high = u32::try_from(hash >> 32).unwrap_or_default();
    (f64::from(high) + 0.5) / (f64::from(u32::MAX) + 1.0)
}

impl fmt::Debug for Balancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.servers.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spread_by_weight() {
        assert_eq!(*rotation(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(*rotation(&[7, 7]), [0, 1]);
        assert_eq!(*rotation(&[3, 1]), [0, 0, 1, 0]);
        assert_eq!(*rotation(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn parts_of_turns_have_no_pattern() {
        let below = (0..10_000).filter(|turn| part(*turn) < 0.2).count();
        assert!((1_900..2_100).contains(&below), "{below}");
    }
}
