//! Account revocation during outages: accounts that the store cannot look up or change.

use super::{AccountError, Accounts};
use crate::services::account_name::{AccountName, TypedName};
use crate::services::deferred_revocations::NOT_HELD;
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

    /// Revokes in memory an account that the store could not look up because of `error`.
    pub(super) async fn shut_out_named(
        &self,
        name: &str,
        act: AccountAct,
        error: StoreError,
        by: &Actor,
        origin: &Origin,
    ) -> AccountError {
        match self.recall(name) {
            Some(account) => {
                let _turn = self.revocations.pending.turn.lock().await;
                self.hold(account, act, error, by, origin).await
            }
            None => not_held(error),
        }
    }

    pub(super) async fn hold(
        &self,
        account: AccountName,
        act: AccountAct,
        error: StoreError,
        by: &Actor,
        origin: &Origin,
    ) -> AccountError {
        let guarded = &self.administrators;
        let held = self.revocations.hold(account, act, guarded, error, by, origin);
        held.await.into()
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
