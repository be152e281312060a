//! Revocations in memory that the store does not have yet.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::account_name::{AccountName, TypedName};
use super::{Event, Origin};
use crate::ids::AccountId;
use crate::model::{AccessKeyId, Decision};

/// Revocations of accounts and access keys that the store failed to keep. They are in force in memory at once
/// and retried until the store has them; a restart before that loses them, which the maintenance loops report
/// when they stop.
#[derive(Debug, Default)]
pub(super) struct PendingRevocations {
    accounts: Mutex<Arrivals<AccountId, AccountRevocation>>,
    keys: Mutex<Arrivals<AccessKeyId, KeyRevocation>>,
    /// Serialises decisions on an account with retries, so that a retry does not undo a later decision.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// Entries with the order of their first insertion.
#[derive(Debug)]
struct Arrivals<K, T> {
    by_key: HashMap<K, Vec<Entry<T>>>,
    next: u64,
}

#[derive(Debug)]
struct Entry<T> {
    /// Its place in the order, which it takes over from what it replaces.
    place: u64,
    arrival: Arrival,
    item: T,
}

/// Identifies an entry, as opposed to one that takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival(u64);

/// The revocation of an account.
#[derive(Clone, Debug)]
pub(super) struct AccountRevocation {
    pub(super) account: AccountName,
    pub(super) act: AccountAct,
    pub(super) event: Event,
    pub(super) origin: Origin,
}

/// How an account was revoked.
#[derive(Clone, Debug)]
pub(super) enum AccountAct {
    Disable(Decision),
    /// With the time at which the password that was checked had been set, if one was checked: another
    /// password voids it (S77).
    Delete(Option<Timestamp>),
}

/// The revocation of an access key.
#[derive(Clone, Debug)]
pub(super) struct KeyRevocation {
    pub(super) is_revoked: bool,
    pub(super) event: Event,
    pub(super) origin: Origin,
}

impl PendingRevocations {
    pub(super) fn has_account(&self, id: AccountId) -> bool {
        self.accounts().by_key.contains_key(&id)
    }

    /// Returns the revoked account of this name.
    pub(super) fn account_named(&self, name: &TypedName) -> Option<AccountName> {
        let accounts = self.accounts();
        let mut held = accounts
            .by_key
            .values()
            .flatten()
            .map(|entry| &entry.item.account);
        held.find(|account| name.fits(account)).cloned()
    }

    pub(super) fn has_key(&self, id: &AccessKeyId) -> bool {
        self.keys().by_key.contains_key(id)
    }

    /// The accounts that are shut out, in the order of [`Self::all_accounts`].
    pub(super) fn account_ids(&self) -> Vec<AccountId> {
        let mut ids: Vec<_> = self.all_accounts().into_iter().map(|(id, _)| id).collect();
        let mut seen = HashSet::new();
        ids.retain(|id| seen.insert(*id));
        ids
    }

    /// What was done to this account, in that order.
    pub(super) fn of_account(&self, id: AccountId) -> Vec<(Arrival, AccountRevocation)> {
        let accounts = self.accounts();
        let came = accounts.by_key.get(&id).into_iter().flatten();
        came.map(|entry| (entry.arrival, entry.item.clone())).collect()
    }

    /// What was done to this key, if it is shut out.
    pub(super) fn key(&self, id: &AccessKeyId) -> Option<(Arrival, KeyRevocation)> {
        let keys = self.keys();
        let entry = keys.by_key.get(id)?.first()?;
        Some((entry.arrival, entry.item.clone()))
    }

    /// Shuts an account out. Takes no turn: what the store was told of before is decided by then, and what it is
    /// being told of is told again.
    pub(super) fn add_account(&self, id: AccountId, revocation: AccountRevocation) -> Arrival {
        self.accounts().insert(id, revocation)
    }

    /// Shuts a key out, as [`Self::add_account`] does an account.
    pub(super) fn add_key(&self, id: AccessKeyId, revocation: KeyRevocation) -> Arrival {
        self.keys().insert(id, revocation)
    }

    /// What was done to an account is in the store, or cannot be done. What came in its place meanwhile stays.
    pub(super) fn remove_account(&self, id: AccountId, arrival: Arrival) {
        self.accounts().remove(&id, arrival);
    }

    /// Removes the revocation of a key, as [`Self::remove_account`] does one of an account.
    pub(super) fn remove_key(&self, id: &AccessKeyId, arrival: Arrival) {
        self.keys().remove(id, arrival);
    }

    /// Returns all, in the order of their first insertion: an earlier act may void a later one, not the
    /// reverse.
    pub(super) fn all_accounts(&self) -> Vec<(AccountId, AccountRevocation)> {
        self.accounts().in_order()
    }

    /// Returns all, in the order of their first insertion.
    pub(super) fn all_keys(&self) -> Vec<(AccessKeyId, KeyRevocation)> {
        self.keys().in_order()
    }

    fn accounts(&self) -> MutexGuard<'_, Arrivals<AccountId, AccountRevocation>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> MutexGuard<'_, Arrivals<AccessKeyId, KeyRevocation>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, T> Default for Arrivals<K, T> {
    fn default() -> Self {
        Self {
            by_key: HashMap::new(),
            next: 0,
        }
    }
}

/// An act that contains others: once it is done, they are done too. Only of the same actor: what one is refused the
/// other may do.
trait Covers {
    fn covers(&self, other: &Self) -> bool;
}

impl Covers for AccountRevocation {
    /// A deletion that a new password voids contains no other act: that one holds whatever the password is.
    fn covers(&self, other: &Self) -> bool {
        if self.event.by != other.event.by {
            return false;
        }
        match (&self.act, &other.act) {
            (AccountAct::Delete(None), _) | (AccountAct::Disable(_), AccountAct::Disable(_)) => true,
            (AccountAct::Delete(proved), AccountAct::Delete(other)) => proved == other,
            _ => false,
        }
    }
}

impl Covers for KeyRevocation {
    fn covers(&self, other: &Self) -> bool {
        self.event.by == other.event.by && (self.is_revoked || !other.is_revoked)
    }
}

impl<K: Copy + Eq + Hash, T: Clone + Covers> Arrivals<K, T> {
    /// In the place of what it covers, if it does; nothing if it is covered by what came before and does not cover that.
    /// Returns the entry that contains what came.
    fn insert(&mut self, key: K, came: T) -> Arrival {
        let known = self.by_key.entry(key).or_default();
        let covers = |known: &&Entry<T>| known.item.covers(&came) && !came.covers(&known.item);
        if let Some(known) = known.iter().find(covers) {
            return known.arrival;
        }
        let covered = known.iter().find(|known| came.covers(&known.item));
        let (place, arrival) = (covered.map_or(self.next, |known| known.place), Arrival(self.next));
        known.retain(|known| !came.covers(&known.item));
        known.push(Entry {
            place,
            arrival,
            item: came,
        });
        known.sort_by_key(|known| known.place);
        self.next += 1;
        arrival
    }

    fn remove(&mut self, key: &K, arrival: Arrival) {
        if let Some(known) = self.by_key.get_mut(key) {
            known.retain(|known| known.arrival != arrival);
            if known.is_empty() {
                self.by_key.remove(key);
            }
        }
    }

    fn in_order(&self) -> Vec<(K, T)> {
        let of_key = |(key, came): (&K, &Vec<Entry<T>>)| {
            let key = *key;
            came.iter()
                .map(move |entry| (entry.place, key, entry.item.clone()))
                .collect::<Vec<_>>()
        };
        let mut all: Vec<_> = self.by_key.iter().flat_map(of_key).collect();
        all.sort_by_key(|(place, ..)| *place);
        all.into_iter().map(|(_, key, came)| (key, came)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::services::{Actor, Kind};

    fn shut_out(act: AccountAct) -> AccountRevocation {
        AccountRevocation {
            account: AccountName {
                id: AccountId::new(Timestamp::UNIX_EPOCH, &Random::seeded(2)),
                email: "ann@example.com".parse().unwrap(),
                username: "ann".parse().unwrap(),
            },
            act,
            event: Event::success(Kind::Disable, ""),
            origin: Origin::default(),
        }
    }

    #[test]
    fn acts_are_tried_again_in_the_order_in_which_they_came() {
        let (pending, random) = (PendingRevocations::default(), Random::seeded(1));
        let ids: Vec<_> = (0..50)
            .map(|_| AccountId::new(Timestamp::UNIX_EPOCH, &random))
            .collect();
        let disable = || {
            AccountAct::Disable(Decision {
                by: String::new(),
                at: Timestamp::UNIX_EPOCH,
                reason: None,
            })
        };
        for id in &ids {
            pending.add_account(*id, shut_out(disable()));
        }
        pending.add_account(ids[3], shut_out(AccountAct::Delete(None)));
        let (first, _) = pending.of_account(ids[5])[0].clone();
        pending.remove_account(ids[5], first);
        pending.add_account(ids[5], shut_out(disable()));
        let order: Vec<_> = pending.all_accounts().into_iter().map(|(id, _)| id).collect();
        let mut expected = ids.clone();
        let last = expected.remove(5);
        expected.push(last);
        assert_eq!(order, expected, "what was disabled first is deleted first");

        // What is held of an account that a new password may yet void stands beside what holds whatever it is.
        let twice = PendingRevocations::default();
        let acts = |pending: &PendingRevocations| -> Vec<_> {
            let kind = |act: &AccountAct| match act {
                AccountAct::Disable(_) => "disable",
                AccountAct::Delete(Some(_)) => "leave",
                AccountAct::Delete(None) => "delete",
            };
            let all = pending.all_accounts().into_iter();
            all.map(|(_, revocation)| kind(&revocation.act)).collect()
        };
        let leave = AccountAct::Delete(Some(Timestamp::UNIX_EPOCH));
        for act in [leave.clone(), disable(), leave.clone(), disable()] {
            twice.add_account(ids[0], shut_out(act));
        }
        assert_eq!(acts(&twice), ["leave", "disable"]);
        for act in [AccountAct::Delete(None), leave, disable()] {
            twice.add_account(ids[0], shut_out(act));
        }
        assert_eq!(acts(&twice), ["delete"]);

        // What another did is not refused with it.
        let by_another = AccountRevocation {
            event: Event::success(Kind::Disable, "").by(&Actor::operator("test")),
            ..shut_out(disable())
        };
        let another = twice.add_account(ids[0], by_another);
        assert_eq!(acts(&twice), ["delete", "disable"]);
        twice.remove_account(ids[0], another);

        // What takes the place of an act while the store is told of that is still to be told.
        let (told, _) = twice.of_account(ids[0])[0].clone();
        twice.add_account(ids[0], shut_out(AccountAct::Delete(None)));
        twice.remove_account(ids[0], told);
        assert_eq!(acts(&twice), ["delete"]);

        let keys: Vec<_> = (0..50).map(|_| AccessKeyId::new(&random)).collect();
        for key in &keys {
            let revocation = KeyRevocation {
                is_revoked: true,
                event: Event::success(Kind::AccessKeyRevoke, ""),
                origin: Origin::default(),
            };
            pending.add_key(*key, revocation);
        }
        let order: Vec<_> = pending.all_keys().into_iter().map(|(key, _)| key).collect();
        assert_eq!(order, keys);
    }
}
