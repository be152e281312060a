//! Account revocation during outages: accounts that the store cannot look up or change.

use std::pin::pin;

use tokio::time::{Instant, timeout_at};

use super::{AccountError, Accounts};
use crate::model::Account;
use crate::services::account_name::{AccountName, TypedName};
use crate::services::deferred_revocations::{HeldRevocation, NOT_HELD, slow};
use crate::services::pending_revocations::AccountAct;
use crate::services::{Actor, Origin};
use crate::store::StoreError;

impl Accounts {
    /// Returns the account of this name; from memory if the store is unavailable, since its sessions can be
    /// ended anyway.
    pub async fn locate(&self, name: &str) -> Result<AccountName, AccountError> {
        match self.find(name).await {
            Err(AccountError::Store(error)) => self.recall(name).ok_or_else(|| not_held(error)),
            found => found.map(|account| AccountName::from(&account)),
        }
    }

    /// Returns the account of this name that is to be shut out. An error of a store that is only slow if memory knows
    /// the account.
    pub(super) async fn find_to_shut_out(
        &self,
        name: &str,
        deadline: Instant,
    ) -> Result<Account, AccountError> {
        let mut found = pin!(self.find(name));
        match timeout_at(deadline, &mut found).await {
            Ok(found) => found,
            Err(_) if self.recall(name).is_some() => Err(slow().into()),
            Err(_) => found.await,
        }
    }

    /// Revokes in memory an account that the store could not look up because of `error`.
    pub(super) fn shut_out_named(
        &self,
        name: &str,
        act: AccountAct,
        error: StoreError,
        by: &Actor,
        origin: &Origin,
    ) -> AccountError {
        match self.recall(name) {
            Some(account) => self.hold(account, act, error, by, origin),
            None => not_held(error),
        }
    }

    pub(super) fn hold(
        &self,
        account: AccountName,
        act: AccountAct,
        error: StoreError,
        by: &Actor,
        origin: &Origin,
    ) -> AccountError {
        self.revocations.hold(account, act, error, by, origin).into()
    }

    /// Disables in memory an account that the store has not disabled in time. `None` if memory may not.
    pub(super) fn hold_by_now(
        &self,
        account: &Account,
        by: &Actor,
        origin: &Origin,
    ) -> Option<(HeldRevocation, StoreError)> {
        let act = AccountAct::Disable(self.approval.decision(by));
        let held = self.revocations.try_hold(account.into(), act, slow(), by, origin);
        held.ok()
    }

    /// Looks an account up in memory: among sessions, access keys and pending revocations.
    fn recall(&self, name: &str) -> Option<AccountName> {
        let name = TypedName::of(name);
        let (sessions, keys) = (&self.sessions, &self.access_keys);
        let known = sessions
            .account_named(&name)
            .or_else(|| keys.account_named(&name));
        known.or_else(|| self.revocations.pending.account_named(&name))
    }
}

pub(super) fn not_held(error: StoreError) -> AccountError {
    error.with_note(NOT_HELD).into()
}
