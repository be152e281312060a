//! Acts that shut somebody out and that the store could not keep.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Event, Origin};
use crate::ids::AccountId;
use crate::model::{AccessKeyId, Decision};

/// Accounts and access keys that were shut out while the store could not keep it. They are shut out in memory from
/// that moment, and what was done is tried again until the store agrees; a restart before that forgets it, which is
/// why whoever keeps them says so at the end.
#[derive(Debug, Default)]
pub(super) struct PendingShutOuts {
    accounts: Mutex<HashMap<AccountId, AccountShutOut>>,
    keys: Mutex<HashMap<AccessKeyId, KeyShutOut>>,
    /// Whoever decides about an account, or tries a decision again: a later decision is not undone by an earlier one.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// What was done to an account.
#[derive(Clone, Debug)]
pub(super) struct AccountShutOut {
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
pub(super) struct KeyShutOut {
    pub(super) is_revoked: bool,
    pub(super) event: Event,
    pub(super) origin: Origin,
}

impl PendingShutOuts {
    pub(super) fn has_account(&self, id: AccountId) -> bool {
        self.accounts().contains_key(&id)
    }

    pub(super) fn has_key(&self, id: &AccessKeyId) -> bool {
        self.keys().contains_key(id)
    }

    pub(super) fn has_revoked(&self, id: &AccessKeyId) -> bool {
        self.keys().get(id).is_some_and(|key| key.is_revoked)
    }

    /// Shuts an account out; what was done to it before is part of it, but for a deletion, which stays one.
    pub(super) fn add_account(&self, id: AccountId, shut_out: AccountShutOut) {
        let mut accounts = self.accounts();
        let is_deleted = |known: &AccountShutOut| matches!(known.act, AccountAct::Delete(_));
        if !accounts.get(&id).is_some_and(is_deleted) {
            accounts.insert(id, shut_out);
        }
    }

    /// Shuts a key out; one that was revoked stays it.
    pub(super) fn add_key(&self, id: AccessKeyId, shut_out: KeyShutOut) {
        let mut keys = self.keys();
        if !keys.get(&id).is_some_and(|known| known.is_revoked) {
            keys.insert(id, shut_out);
        }
    }

    /// The store knows of it, or it was taken back.
    pub(super) fn remove_account(&self, id: AccountId) {
        self.accounts().remove(&id);
    }

    /// Another decision about the account's standing is in the store; a deletion stays to be told.
    pub(super) fn remove_disabled(&self, id: AccountId) {
        let is_disabled = |shut_out: &mut AccountShutOut| matches!(shut_out.act, AccountAct::Disable(_));
        let mut accounts = self.accounts();
        if accounts.get_mut(&id).is_some_and(is_disabled) {
            accounts.remove(&id);
        }
    }

    /// The same of a key.
    pub(super) fn remove_key(&self, id: &AccessKeyId) {
        self.keys().remove(id);
    }

    pub(super) fn all_accounts(&self) -> Vec<(AccountId, AccountShutOut)> {
        let accounts = self.accounts();
        accounts.iter().map(|(id, act)| (*id, act.clone())).collect()
    }

    pub(super) fn all_keys(&self) -> Vec<(AccessKeyId, KeyShutOut)> {
        self.keys().iter().map(|(id, act)| (*id, act.clone())).collect()
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<AccountId, AccountShutOut>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<AccessKeyId, KeyShutOut>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
