//! Revocations in memory that the store does not have yet.

use std::collections::HashMap;
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
    by_key: HashMap<K, (u64, T)>,
    next: u64,
}

/// The revocation of an account.
#[derive(Clone, Debug)]
pub(super) struct AccountRevocation {
    pub(super) account: AccountName,
    pub(super) act: AccountAct,
    /// The name of the administrators' group at that time.
    pub(super) guarded: String,
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
        self.accounts().get(&id).is_some()
    }

    /// Returns the revoked account of this name.
    pub(super) fn account_named(&self, name: &TypedName) -> Option<AccountName> {
        let accounts = self.accounts();
        let mut held = accounts
            .by_key
            .values()
            .map(|(_, revocation)| &revocation.account);
        held.find(|account| name.fits(account)).cloned()
    }

    pub(super) fn has_key(&self, id: &AccessKeyId) -> bool {
        self.keys().get(id).is_some()
    }

    pub(super) fn has_revoked(&self, id: &AccessKeyId) -> bool {
        self.keys().get(id).is_some_and(|key| key.is_revoked)
    }

    /// Adds a revocation. It replaces an earlier one, unless that is a deletion.
    pub(super) fn add_account(&self, id: AccountId, revocation: AccountRevocation) {
        let mut accounts = self.accounts();
        let is_deleted = |known: &AccountRevocation| matches!(known.act, AccountAct::Delete(_));
        if !accounts.get(&id).is_some_and(is_deleted) {
            accounts.insert(id, revocation);
        }
    }

    /// Adds a revocation. It replaces an earlier one, unless that revoked the key for ever.
    pub(super) fn add_key(&self, id: AccessKeyId, revocation: KeyRevocation) {
        let mut keys = self.keys();
        if !keys.get(&id).is_some_and(|known| known.is_revoked) {
            keys.insert(id, revocation);
        }
    }

    /// Removes a revocation that the store has, or that is void.
    pub(super) fn remove_account(&self, id: AccountId) {
        self.accounts().remove(&id);
    }

    /// Removes a disabling, since a later decision is in the store; a deletion stays.
    pub(super) fn remove_disabled(&self, id: AccountId) {
        let is_disabled = |revocation: &AccountRevocation| matches!(revocation.act, AccountAct::Disable(_));
        let mut accounts = self.accounts();
        if accounts.get(&id).is_some_and(is_disabled) {
            accounts.remove(&id);
        }
    }

    /// Removes the revocation of a key.
    pub(super) fn remove_key(&self, id: &AccessKeyId) {
        self.keys().remove(id);
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

impl<K: Copy + Eq + Hash, T: Clone> Arrivals<K, T> {
    fn get(&self, key: &K) -> Option<&T> {
        self.by_key.get(key).map(|(_, came)| came)
    }

    /// Inserts an entry; one that exists keeps its place in the order.
    fn insert(&mut self, key: K, came: T) {
        let number = self.by_key.get(&key).map_or(self.next, |(number, _)| *number);
        self.by_key.insert(key, (number, came));
        self.next += 1;
    }

    fn remove(&mut self, key: &K) {
        self.by_key.remove(key);
    }

    fn in_order(&self) -> Vec<(K, T)> {
        let mut came: Vec<_> = self.by_key.iter().collect();
        came.sort_by_key(|(_, (number, _))| *number);
        came.into_iter()
            .map(|(key, (_, came))| (*key, came.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::services::Kind;

    fn shut_out(act: AccountAct) -> AccountRevocation {
        AccountRevocation {
            account: AccountName {
                id: AccountId::new(Timestamp::UNIX_EPOCH, &Random::seeded(2)),
                email: "ann@example.com".parse().unwrap(),
                username: "ann".parse().unwrap(),
            },
            act,
            guarded: String::new(),
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
        pending.remove_account(ids[5]);
        pending.add_account(ids[5], shut_out(disable()));
        let order: Vec<_> = pending.all_accounts().into_iter().map(|(id, _)| id).collect();
        let mut expected = ids.clone();
        let last = expected.remove(5);
        expected.push(last);
        assert_eq!(order, expected, "what was disabled first is deleted first");

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
