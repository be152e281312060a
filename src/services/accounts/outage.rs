//! Shutting accounts out whom the store cannot look up, or cannot keep as shut out.

use super::{AccountError, Accounts};
use crate::services::account_name::{AccountName, TypedName};
use crate::services::deferred_revocations::NOT_HELD;
use crate::services::pending_revocations::AccountAct;
use crate::services::{Actor, Origin};
use crate::store::StoreError;

impl Accounts {
    /// The account by this name; where the store cannot tell, as memory knows it: its sessions can be ended all the same.
    pub async fn locate(&self, name: &str) -> Result<AccountName, AccountError> {
        match self.find(name).await {
            Err(AccountError::Store(error)) => self.recall(name).ok_or_else(|| not_held(error)),
            found => found.map(|account| AccountName::from(&account)),
        }
    }

    /// Shuts an account out in memory that the store could not look up for this reason.
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

    /// What memory knows of an account: the names of those who have a session or an access key, or are shut out already.
    fn recall(&self, name: &str) -> Option<AccountName> {
        let name = TypedName::of(name);
        let (sessions, keys) = (&self.sessions, &self.access_keys);
        let known = sessions
            .account_named(&name)
            .or_else(|| keys.account_named(&name));
        known.or_else(|| self.revocations.pending.account_named(&name))
    }
}

fn not_held(error: StoreError) -> AccountError {
    error.with_note(NOT_HELD).into()
}
