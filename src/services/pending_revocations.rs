//! Acts that shut somebody out and that the store could not keep.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::account_name::{AccountName, TypedName};
use super::{Event, Origin};
use crate::ids::AccountId;
use crate::model::{AccessKeyId, Decision};

/// Accounts and access keys that were shut out while the store could not keep it. They are shut out in memory from
/// that moment, and what was done is tried again until the store agrees; a restart before that forgets it, which is
/// why whoever keeps them says so at the end.
#[derive(Debug, Default)]
pub(super) struct PendingRevocations {
    accounts: Mutex<Arrivals<AccountId, AccountRevocation>>,
    keys: Mutex<Arrivals<AccessKeyId, KeyRevocation>>,
    /// Whoever decides about an account, or tries a decision again: a later decision is not undone by an earlier one.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// What came for each key, with the number by which it first did.
#[derive(Debug)]
struct Arrivals<K, T> {
    by_key: HashMap<K, (u64, T)>,
    next: u64,
}

/// What was done to an account.
#[derive(Clone, Debug)]
pub(super) struct AccountRevocation {
    pub(super) account: AccountName,
    pub(super) act: AccountAct,
    /// The administrators' group as it was called then.
    pub(super) guarded: String,
    pub(super) event: Event,
    pub(super) origin: Origin,
}

/// How an account was shut out.
#[derive(Clone, Debug)]
pub(super) enum AccountAct {
    Disable(Decision),
    /// With the time of the password that it was proved with, if it was: another one voids it (S77).
    Delete(Option<Timestamp>),
}

/// What was done to an access key.
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

    /// The account that is shut out and goes by this name.
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

    /// Shuts an account out; what was done to it before is part of it, but for a deletion, which stays one.
    pub(super) fn add_account(&self, id: AccountId, revocation: AccountRevocation) {
        let mut accounts = self.accounts();
        let is_deleted = |known: &AccountRevocation| matches!(known.act, AccountAct::Delete(_));
        if !accounts.get(&id).is_some_and(is_deleted) {
            accounts.insert(id, revocation);
        }
    }

    /// Shuts a key out; one that was revoked stays it.
    pub(super) fn add_key(&self, id: AccessKeyId, revocation: KeyRevocation) {
        let mut keys = self.keys();
        if !keys.get(&id).is_some_and(|known| known.is_revoked) {
            keys.insert(id, revocation);
        }
    }

    /// The store knows of it, or it was taken back.
    pub(super) fn remove_account(&self, id: AccountId) {
        self.accounts().remove(&id);
    }

    /// Another decision about the account's status is in the store; a deletion stays to be told.
    pub(super) fn remove_disabled(&self, id: AccountId) {
        let is_disabled = |revocation: &AccountRevocation| matches!(revocation.act, AccountAct::Disable(_));
        let mut accounts = self.accounts();
        if accounts.get(&id).is_some_and(is_disabled) {
            accounts.remove(&id);
        }
    }

    /// The same of a key.
    pub(super) fn remove_key(&self, id: &AccessKeyId) {
        self.keys().remove(id);
    }

    /// All of them, in the order in which they were first shut out: what was done last may not hold because of what was
    /// done first, and not the other way round.
    pub(super) fn all_accounts(&self) -> Vec<(AccountId, AccountRevocation)> {
        self.accounts().in_order()
    }

    /// The same of keys.
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

    /// In the place of what came for the key before, if anything did.
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
