//! Too many failures from one address, or too many of anything else that is limited by address.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pingora_limits::estimator::Estimator;

use crate::clock::Clock;
use crate::config::LockoutConfig;
use crate::request::Network;

/// The window moves in steps of a twentieth.
const SLICES: usize = 20;

/// A count-min sketch of 4 rows errs, upwards only, for addresses that collide in all of them.
const ROWS: usize = 4;
const COLUMNS: usize = 1024;

/// Counts failures of networks in fixed memory (640 KiB), whoever attacks from however many addresses.
///
/// `pingora_limits::rate::Rate` reads the machine's clock and weighs two windows; this keeps a ring of the same
/// estimators, driven by [`Clock`], so that a failure counts for its whole window, to a twentieth, and never longer.
pub(super) struct AddressLimit {
    allowed: u32,
    slice: Duration,
    clock: Clock,
    ring: Mutex<Ring>,
}

struct Ring {
    slices: [Estimator; SLICES],
    /// The number of the current slice since the clock's start; it is at `current % SLICES`.
    current: u64,
}

impl AddressLimit {
    pub(super) fn new(config: &LockoutConfig, clock: Clock) -> Self {
        Self::allowing(config.address_failures, config.address_window.0, clock)
    }

    /// Allows so many in this window.
    pub(super) fn allowing(allowed: u32, window: Duration, clock: Clock) -> Self {
        let steps = u32::try_from(SLICES).unwrap_or(1);
        Self {
            allowed,
            slice: (window / steps).max(Duration::from_millis(1)),
            clock,
            ring: Mutex::new(Ring {
                slices: std::array::from_fn(|_| Estimator::new(ROWS, COLUMNS)),
                current: 0,
            }),
        }
    }

    /// Passes an address whose failures are within the allowance; else says after which time it would pass.
    pub(super) fn check(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        let Some(network) = address.map(Network::from) else {
            return Ok(());
        };
        let now = self.clock.monotonic();
        let ring = self.ring_at(now);
        // From the oldest slice to the current one.
        let counts: [u64; SLICES] = std::array::from_fn(|age| {
            let at = (ring.current + 1 + age as u64) % SLICES as u64;
            let estimate = ring.slices[usize::try_from(at).unwrap_or(0)].get(network);
            u64::try_from(estimate).unwrap_or(0)
        });
        let mut total: u64 = counts.iter().sum();
        if total < u64::from(self.allowed) {
            return Ok(());
        }
        let forgotten = counts.iter().position(|count| {
            total -= count;
            total < u64::from(self.allowed)
        });
        let steps = u32::try_from(forgotten.unwrap_or(SLICES - 1)).unwrap_or(0) + 1;
        let into_slice =
            Duration::from_nanos(u64::try_from(now.as_nanos() % self.slice.as_nanos()).unwrap_or(0));
        Err((self.slice * steps).saturating_sub(into_slice))
    }

    /// Counts a failure, or whatever else is limited.
    pub(super) fn failed(&self, address: Option<IpAddr>) {
        if let Some(address) = address {
            let ring = self.ring_at(self.clock.monotonic());
            let current = usize::try_from(ring.current % SLICES as u64).unwrap_or(0);
            ring.slices[current].incr(Network::from(address), 1);
        }
    }

    fn ring_at(&self, now: Duration) -> std::sync::MutexGuard<'_, Ring> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let current = u64::try_from(now.as_nanos() / self.slice.as_nanos()).unwrap_or(u64::MAX);
        let passed = current.saturating_sub(ring.current).min(SLICES as u64);
        for back in 0..passed {
            let stale = usize::try_from((current - back) % SLICES as u64).unwrap_or(0);
            ring.slices[stale].reset();
        }
        ring.current = ring.current.max(current);
        ring
    }
}

impl std::fmt::Debug for AddressLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddressLimit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::Period;

    const MINUTE: Duration = Duration::from_mins(1);

    fn limit() -> (AddressLimit, ManualClock) {
        let (clock, hand) = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let config = LockoutConfig {
            address_failures: 3,
            address_window: Period(10 * MINUTE),
            ..LockoutConfig::default()
        };
        (AddressLimit::new(&config, clock), hand)
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
            limit.failed(Some(here));
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
        limit.failed(Some(here));
        hand.advance(4 * MINUTE);
        limit.failed(Some(here));
        limit.failed(Some(here));
        assert_eq!(limit.check(Some(here)), Err(6 * MINUTE));
        hand.advance(6 * MINUTE);
        limit.failed(Some(here));
        assert_eq!(limit.check(Some(here)), Err(4 * MINUTE));
        hand.advance(1000 * MINUTE);
        assert_eq!(limit.check(Some(here)), Ok(()));
    }

    #[test]
    fn a_network_of_64_bits_counts_together_and_a_mapped_address_is_its_own() {
        let (limit, _hand) = limit();
        for text in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:3"] {
            limit.failed(Some(address(text)));
        }
        assert!(limit.check(Some(address("2001:db8::4"))).is_err());
        assert!(limit.check(Some(address("2001:db8:0:1::1"))).is_ok());
        for _ in 0..3 {
            limit.failed(Some(address("::ffff:192.0.2.1")));
        }
        assert!(limit.check(Some(address("192.0.2.1"))).is_err());
        assert!(limit.check(None).is_ok());
    }
}
