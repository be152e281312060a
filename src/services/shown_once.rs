//! What a page shows once, after the redirect from the form that made it: secrets, and outcomes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::ids::{AccountId, SessionId};
use crate::model::AccessKeyId;
use crate::secret::Secret;

/// How long they wait for the page.
const LASTS: Duration = Duration::from_mins(5);

/// The most pages that have some, and the most that a page has: the oldest go first.
const PAGES: usize = 100;

/// The most pages of one session that have some.
const OF_SESSION: usize = 10;
const SECRETS: usize = 1000;

/// The page that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShownOn {
    /// The access keys of an owner, with the secret of this new one.
    AccessKeys(AccessKeyId),
    /// An account, with the link that sets its password.
    Account(AccountId),
    /// The accounts, with what became of a change of several.
    Accounts,
    /// The invitations, with their links.
    Invitations,
}

/// Secrets that are kept in memory until the page of the session that made them takes them: they are in no URL, no
/// cookie and not in the store.
#[derive(Debug)]
pub struct ShownOnce {
    clock: Clock,
    kept: Mutex<HashMap<(SessionId, ShownOn), Kept>>,
}

#[derive(Debug)]
struct Kept {
    since: Duration,
    secrets: Vec<Secret<String>>,
}

impl ShownOnce {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            kept: Mutex::default(),
        }
    }

    /// Keeps secrets for a page of this session, after those that it has not taken yet.
    pub fn keep(&self, session: SessionId, page: ShownOn, secrets: Vec<Secret<String>>) {
        let now = self.clock.monotonic();
        let mut kept = self.fresh(now);
        let key = (session, page);
        let own = kept.keys().filter(|(of, _)| *of == session).count();
        let is_full = own >= OF_SESSION || kept.len() >= PAGES;
        if is_full && !kept.contains_key(&key) {
            let of = kept
                .iter()
                .filter(|((of, _), _)| own < OF_SESSION || *of == session);
            let oldest = of.min_by_key(|(_, kept)| kept.since);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                kept.remove(&oldest);
            }
        }
        let own = kept.entry(key).or_insert_with(|| Kept {
            since: now,
            secrets: Vec::new(),
        });
        own.since = now;
        own.secrets.extend(secrets);
        let excess = own.secrets.len().saturating_sub(SECRETS);
        own.secrets.drain(..excess);
    }

    /// Takes the secrets for a page of this session; empty if there are none, or they waited for more than five minutes.
    pub fn take(&self, session: SessionId, page: ShownOn) -> Vec<Secret<String>> {
        let taken = self.fresh(self.clock.monotonic()).remove(&(session, page));
        taken.map(|kept| kept.secrets).unwrap_or_default()
    }

    fn fresh(&self, now: Duration) -> MutexGuard<'_, HashMap<(SessionId, ShownOn), Kept>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| now.saturating_sub(kept.since) < LASTS);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use jiff::Timestamp;

    #[test]
    fn secrets_are_taken_once_by_their_page_and_soon() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let random = Random::seeded(1);
        let session = || SessionId::new(Timestamp::UNIX_EPOCH, &random);
        let (own, other) = (session(), session());
        let shown = ShownOnce::new(clock);
        let keep = |session, text: &str| {
            shown.keep(session, ShownOn::Invitations, vec![Secret::new(text.to_owned())]);
        };
        let take = |session| -> Vec<String> {
            let taken = shown.take(session, ShownOn::Invitations);
            taken.iter().map(|secret| secret.expose().clone()).collect()
        };
        keep(own, "one");
        keep(own, "two");
        assert!(take(other).is_empty());
        assert!(shown.take(own, ShownOn::Accounts).is_empty());
        assert_eq!(take(own), ["one", "two"]);
        assert!(take(own).is_empty());
        keep(own, "three");
        hand.advance(LASTS);
        assert!(take(own).is_empty());
        keep(own, "four");
        for _ in 0..PAGES {
            keep(session(), "another");
        }
        assert!(shown.kept.lock().unwrap().len() <= PAGES);
        for _ in 0..=SECRETS {
            keep(other, "many");
        }
        assert_eq!(take(other).len(), SECRETS);
    }
}
