//! Rates of requests to routes: of each client address, and of each account.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::config::RequestRate;
use crate::gcra::Gcra;
use crate::ids::AccountId;
use crate::model::Principal;
use crate::refusal::{Hint, Problem, RateLimit, RateSubject, Refusal};
use crate::request::{ClientAddress, Network};
use crate::route::Route;

/// Parts with a lock each.
const SHARDS: usize = 16;

/// The most clients and accounts in each part: 4 MiB in all.
const ENTRIES: usize = 4096;

/// Counts the requests to routes that have a rate. Counts are exact, in bounded memory: when more clients have used a part of
/// their allowance than fit, further ones are not counted, and so nobody is refused for what others do.
#[derive(Debug)]
pub(super) struct RequestRates {
    /// The general rates.
    address: Option<RequestRate>,
    user: Option<RequestRate>,
    clock: Clock,
    hasher: RandomState,
    shards: [Mutex<HashMap<RateKey, Duration>>; SHARDS],
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct RateKey {
    /// The index of the route that has a rate of its own; `None` for all others together.
    route: Option<usize>,
    subject: Subject,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Network(Network),
    Account(AccountId),
}

impl RequestRates {
    /// With the general rates.
    pub(super) fn new(address: Option<RequestRate>, user: Option<RequestRate>, clock: Clock) -> Self {
        Self {
            address,
            user,
            clock,
            hasher: RandomState::new(),
            shards: Default::default(),
        }
    }

    /// Counts a request to a route for its client's address, or refuses it. One of a trusted proxy that names no client counts
    /// for nobody.
    pub(super) fn admit_address(&self, route: &Route, client: &ClientAddress) -> Result<(), Refusal> {
        let own = route.limits().address_rate;
        let Some(rate) = own.or(self.address) else {
            return Ok(());
        };
        let subject = client.known().map(|address| Subject::Network(address.into()));
        subject.map_or(Ok(()), |subject| self.admit(own, rate, route, subject))
    }

    /// Counts a request to a route for its account, or refuses it.
    pub(super) fn admit_user(&self, route: &Route, principal: Option<&Principal>) -> Result<(), Refusal> {
        let own = route.limits().user_rate;
        match (own.or(self.user), principal) {
            (Some(rate), Some(principal)) => {
                self.admit(own, rate, route, Subject::Account(principal.account))
            }
            _ => Ok(()),
        }
    }

    fn admit(
        &self,
        own: Option<RequestRate>,
        rate: RequestRate,
        route: &Route,
        subject: Subject,
    ) -> Result<(), Refusal> {
        let key = RateKey {
            route: own.map(|_| route.place().index),
            subject,
        };
        let wait = match self.count(key, rate) {
            Ok(()) => return Ok(()),
            Err(wait) => wait,
        };
        let subject = match subject {
            Subject::Network(_) => RateSubject::Address,
            Subject::Account(_) => RateSubject::User,
        };
        let limit = RateLimit { subject, rate, wait };
        let refusal = Refusal::new(Problem::RateLimited).retry_after(wait);
        Err(refusal.hinting(Hint::RequestRate(limit)))
    }

    fn count(&self, key: RateKey, rate: RequestRate) -> Result<(), Duration> {
        let allowance = Gcra::new(rate.count as usize, rate.count as usize, rate.period);
        let now = self.clock.monotonic();
        // The low bits choose the shard, and those of its map are of another hash.
        let shard = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = shard.get_mut(&key) {
            return allowance.admit(next, now);
        }
        if shard.len() >= ENTRIES {
            // Whose time is past has the whole allowance again.
            shard.retain(|_, next| *next > now);
            if shard.len() >= ENTRIES {
                return Ok(());
            }
        }
        let mut next = Duration::ZERO;
        let admitted = allowance.admit(&mut next, now);
        shard.insert(key, next);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn key(number: usize) -> RateKey {
        RateKey {
            route: Some(number),
            subject: Subject::Network(Network::V4(1)),
        }
    }

    #[test]
    fn whoever_comes_from_very_many_networks_gets_nobody_else_refused() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let rates = RequestRates::new(None, None, clock);
        let rate = RequestRate {
            count: 2,
            period: Duration::from_secs(1),
        };
        let flood = 2 * SHARDS * ENTRIES;
        for number in 0..flood {
            assert_eq!(rates.count(key(number), rate), Ok(()));
        }
        let kept = || -> usize { rates.shards.iter().map(|shard| shard.lock().unwrap().len()).sum() };
        assert_eq!(kept(), SHARDS * ENTRIES);
        for number in flood..flood + 1000 {
            assert_eq!(rates.count(key(number), rate), Ok(()));
        }
        // Those that are counted are so exactly.
        assert_eq!(rates.count(key(0), rate), Ok(()));
        assert!(rates.count(key(0), rate).is_err());
        hand.advance(Duration::from_secs(2));
        for number in flood..flood + 1000 {
            let counted = [(); 3].map(|()| rates.count(key(number), rate).is_ok());
            assert_eq!(counted, [true, true, false]);
        }
        assert!(kept() < SHARDS * ENTRIES);
    }
}
