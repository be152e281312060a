//! Rate limiter of client networks: failures, and whatever else is limited by address.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::config::LockoutConfig;
use crate::request::Network;

/// The window moves in steps of a twentieth.
const SLICES: usize = 20;

/// The most networks in memory.
const NETWORKS: usize = 16_384;

/// The wait that is returned when only pending attempts exceed the allowance.
const DECIDED_WITHIN: Duration = Duration::from_secs(1);

/// What a failure cost the gateway. When more networks fail than fit in memory, the cheapest are evicted
/// first: a network that guesses passwords is not evicted by failures that clients can cause at any rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// A lookup.
    Lookup,
    /// A password hash.
    Hash,
}

/// Counts the failures of each network exactly, in bounded memory (4 MiB), from however many addresses an
/// attack comes. A network without failures is never refused.
///
/// A failure counts for the whole window, to a twentieth, and never longer.
pub(super) struct IpRateLimiter {
    allowed: u32,
    slice: Duration,
    clock: Clock,
    counts: Mutex<NetworkCounts>,
}

#[derive(Default)]
struct NetworkCounts {
    networks: HashMap<Network, Count>,
    /// The networks in the order of eviction.
    order: BTreeSet<Rank>,
    /// The number of the current slice since the clock's start.
    current: u64,
    /// The pending attempts of each network.
    undecided: HashMap<Network, u32>,
}

/// A pending attempt; it counts as a failure until it is dropped.
#[must_use]
pub(super) struct PendingFailure<'a> {
    limit: &'a IpRateLimiter,
    network: Option<Network>,
}

/// The failures of one network.
#[derive(Clone, Copy, Default)]
struct Count {
    /// The failures in slice `n`, at index `n % SLICES`.
    slices: [u32; SLICES],
    /// The total cost of the failures.
    cost: u64,
    /// The slice of the last failure.
    last: u64,
}

/// The order of eviction: by cost, then by the slice of the last failure.
type Rank = (u64, u64, Network);

impl IpRateLimiter {
    pub(super) fn new(config: &LockoutConfig, clock: Clock) -> Self {
        Self::allowing(config.address_failures, config.address_window.0, clock)
    }

    /// Allows this many failures in a sliding `window`.
    pub(super) fn allowing(allowed: u32, window: Duration, clock: Clock) -> Self {
        let steps = u32::try_from(SLICES).unwrap_or(1);
        Self {
            allowed,
            slice: (window / steps).max(Duration::from_millis(1)),
            clock,
            counts: Mutex::default(),
        }
    }

    /// Like [`Self::check`], and starts a pending attempt, so that concurrent attempts cannot exceed the
    /// allowance (S78).
    pub(super) fn begin(&self, address: Option<IpAddr>) -> Result<PendingFailure<'_>, Duration> {
        self.check(address)?;
        let network = address.map(Network::from);
        if let Some(network) = network {
            let mut counts = self.counts_at(self.clock.monotonic());
            let failed = counts.networks.get(&network);
            let failed: u32 = failed.map_or(0, |count| count.slices.iter().sum());
            let undecided = counts.undecided.entry(network).or_default();
            if failed.saturating_add(*undecided) >= self.allowed {
                return Err(DECIDED_WITHIN);
            }
            *undecided += 1;
        }
        Ok(PendingFailure { limit: self, network })
    }

    /// Admits an address whose failures are within the allowance, or returns the time until it would be
    /// admitted.
    pub(super) fn check(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        let Some(network) = address.map(Network::from) else {
            return Ok(());
        };
        let now = self.clock.monotonic();
        let counts = self.counts_at(now);
        let Some(count) = counts.networks.get(&network) else {
            return Ok(());
        };
        // From the oldest slice to the current one.
        let slices: [u64; SLICES] =
            std::array::from_fn(|age| u64::from(count.slices[at(counts.current + 1 + age as u64)]));
        drop(counts);
        let mut total: u64 = slices.iter().sum();
        if total < u64::from(self.allowed) {
            return Ok(());
        }
        let forgotten = slices.iter().position(|count| {
            total -= count;
            total < u64::from(self.allowed)
        });
        let steps = u32::try_from(forgotten.unwrap_or(SLICES - 1)).unwrap_or(0) + 1;
        let into_slice =
            Duration::from_nanos(u64::try_from(now.as_nanos() % self.slice.as_nanos()).unwrap_or(0));
        Err((self.slice * steps).saturating_sub(into_slice))
    }

    /// Counts a failure, or another limited act.
    pub(super) fn failed(&self, address: Option<IpAddr>, cost: Cost) {
        if let Some(address) = address {
            self.counts_at(self.clock.monotonic()).add(address.into(), cost);
        }
    }

    fn counts_at(&self, now: Duration) -> MutexGuard<'_, NetworkCounts> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.advance(u64::try_from(now.as_nanos() / self.slice.as_nanos()).unwrap_or(u64::MAX));
        counts
    }
}

impl NetworkCounts {
    /// Moves to slice `current` and forgets failures before the window. Visits every network, once a slice.
    fn advance(&mut self, current: u64) {
        if current <= self.current {
            return;
        }
        let passed = (current - self.current).min(SLICES as u64);
        self.current = current;
        self.networks.retain(|_, count| {
            for back in 0..passed {
                count.slices[at(current - back)] = 0;
            }
            count.slices.iter().any(|&failures| failures > 0)
        });
        let networks = &self.networks;
        self.order
            .retain(|(_, _, network)| networks.contains_key(network));
    }

    fn add(&mut self, network: Network, cost: Cost) {
        let (count, current) = (self.networks.get(&network).copied(), self.current);
        match &count {
            Some(count) => {
                self.order.remove(&count.rank(network));
            }
            None if self.networks.len() >= NETWORKS => {
                if let Some((_, _, forgotten)) = self.order.pop_first() {
                    self.networks.remove(&forgotten);
                }
            }
            None => {}
        }
        let mut count = count.unwrap_or_default();
        let slice = &mut count.slices[at(current)];
        *slice = slice.saturating_add(1);
        count.cost = count.cost.saturating_add(cost.weight());
        count.last = current;
        self.order.insert(count.rank(network));
        self.networks.insert(network, count);
    }
}

impl Count {
    fn rank(&self, network: Network) -> Rank {
        (self.cost, self.last, network)
    }
}

impl Cost {
    /// A hash takes a fifth of a second, a lookup microseconds; a thousand lookups weigh as much as a hash.
    fn weight(self) -> u64 {
        match self {
            Self::Lookup => 1,
            Self::Hash => 1000,
        }
    }
}

impl Drop for PendingFailure<'_> {
    fn drop(&mut self) {
        let Some(network) = self.network else { return };
        let mut counts = self.limit.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut undecided) = counts.undecided.entry(network) {
            *undecided.get_mut() -= 1;
            if *undecided.get() == 0 {
                undecided.remove();
            }
        }
    }
}

/// Returns the index of a slice.
fn at(slice: u64) -> usize {
    usize::try_from(slice % SLICES as u64).unwrap_or(0)
}

impl std::fmt::Debug for IpRateLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IpRateLimiter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::HumanDuration;

    const MINUTE: Duration = Duration::from_mins(1);

    fn limit() -> (IpRateLimiter, ManualClock) {
        let (clock, hand) = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let config = LockoutConfig {
            address_failures: 3,
            address_window: HumanDuration(10 * MINUTE),
            ..LockoutConfig::default()
        };
        (IpRateLimiter::new(&config, clock), hand)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn refuses_when_the_allowance_is_used_up_until_the_window_is_over() {
        let (limit, hand) = limit();
        let here = address("192.0.2.1");
        hand.advance(7 * MINUTE);
        for _ in 0..3 {
            assert_eq!(limit.check(Some(here)), Ok(()));
            limit.failed(Some(here), Cost::Hash);
        }
        let wait = limit.check(Some(here)).unwrap_err();
        assert_eq!(wait, 10 * MINUTE);
        assert_eq!(limit.check(Some(address("192.0.2.2"))), Ok(()));
        hand.advance(wait.saturating_sub(Duration::from_secs(1)));
        assert_eq!(limit.check(Some(here)), Err(Duration::from_secs(1)));
        hand.advance(Duration::from_secs(1));
        assert_eq!(limit.check(Some(here)), Ok(()));
    }

    #[test]
    fn waits_no_longer_than_for_the_oldest_failures() {
        let (limit, hand) = limit();
        let here = address("192.0.2.1");
        limit.failed(Some(here), Cost::Hash);
        hand.advance(4 * MINUTE);
        limit.failed(Some(here), Cost::Hash);
        limit.failed(Some(here), Cost::Hash);
        assert_eq!(limit.check(Some(here)), Err(6 * MINUTE));
        hand.advance(6 * MINUTE);
        limit.failed(Some(here), Cost::Hash);
        assert_eq!(limit.check(Some(here)), Err(4 * MINUTE));
        hand.advance(1000 * MINUTE);
        assert_eq!(limit.check(Some(here)), Ok(()));
    }

    #[test]
    fn s78_what_is_not_decided_takes_the_room_of_a_failure() {
        let (limit, _hand) = limit();
        let here = Some(address("192.0.2.1"));
        let mut begun: Vec<_> = (0..3).map(|_| limit.begin(here).unwrap()).collect();
        assert!(limit.begin(here).is_err());
        assert!(limit.begin(Some(address("192.0.2.2"))).is_ok());
        assert!(limit.begin(None).is_ok());
        limit.failed(here, Cost::Hash);
        begun.pop();
        assert!(limit.begin(here).is_err(), "one failed, two are not decided");
        begun.clear();
        limit.failed(here, Cost::Hash);
        drop(limit.begin(here).unwrap());
        assert!(limit.counts.lock().unwrap().undecided.is_empty());
    }

    #[test]
    fn a_network_of_64_bits_counts_together_and_a_mapped_address_is_its_own() {
        let (limit, _hand) = limit();
        for text in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:3"] {
            limit.failed(Some(address(text)), Cost::Hash);
        }
        assert!(limit.check(Some(address("2001:db8::4"))).is_err());
        assert!(limit.check(Some(address("2001:db8:0:1::1"))).is_ok());
        for _ in 0..3 {
            limit.failed(Some(address("::ffff:192.0.2.1")), Cost::Hash);
        }
        assert!(limit.check(Some(address("192.0.2.1"))).is_err());
        assert!(limit.check(None).is_ok());
    }

    fn network(number: u32) -> IpAddr {
        let bits = (0x2001_0db8_u128 << 96) | (u128::from(number) << 64) | 1;
        std::net::Ipv6Addr::from_bits(bits).into()
    }

    #[test]
    fn whoever_fails_from_very_many_networks_gets_nobody_else_refused() {
        let (limit, _hand) = limit();
        // A /53 has 2,048 networks (/64).
        for number in 0..2048 {
            for _ in 0..3 {
                limit.failed(Some(network(number)), Cost::Lookup);
            }
        }
        for number in 0..2048 {
            assert!(limit.check(Some(network(number))).is_err());
            assert_eq!(limit.check(Some(network(4096 + number))), Ok(()));
            let other = IpAddr::from(0xc000_0200_u32.wrapping_add(number).to_be_bytes());
            assert_eq!(limit.check(Some(other)), Ok(()));
        }
    }

    #[test]
    fn the_heaviest_are_kept_in_bounded_memory() {
        let (limit, _hand) = limit();
        let (guesser, noisy) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..3 {
            limit.failed(Some(guesser), Cost::Hash);
        }
        for _ in 0..100 {
            limit.failed(Some(noisy), Cost::Lookup);
        }
        for number in 0..3 * 16_384 {
            for _ in 0..3 {
                limit.failed(Some(network(number)), Cost::Lookup);
            }
        }
        assert!(
            limit.check(Some(guesser)).is_err(),
            "it cost more than all others"
        );
        assert!(
            limit.check(Some(noisy)).is_err(),
            "it failed more often than others"
        );
        assert!(
            limit.check(Some(network(3 * 16_384 - 1))).is_err(),
            "the last is counted"
        );
        assert_eq!(
            limit.check(Some(network(0))),
            Ok(()),
            "the lightest are forgotten"
        );
        let counts = limit.counts.lock().unwrap();
        assert_eq!((counts.networks.len(), counts.order.len()), (NETWORKS, NETWORKS));
    }

    #[test]
    fn what_is_over_takes_no_room() {
        let (limit, hand) = limit();
        for number in 0..1000 {
            limit.failed(Some(network(number)), Cost::Lookup);
        }
        hand.advance(10 * MINUTE);
        limit.failed(Some(network(1)), Cost::Lookup);
        let counts = limit.counts.lock().unwrap();
        assert_eq!((counts.networks.len(), counts.order.len()), (1, 1));
    }
}
