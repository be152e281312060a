//! Shutting an account out though the store cannot keep that now.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::account_edit::{EditError, edit};
use super::account_name::AccountName;
use super::pending_revocations::{AccountAct, AccountRevocation, PendingRevocations};
use super::{AccessKeys, Actor, Audit, Event, Kind, Origin, Sessions};
use crate::ids::AccountId;
use crate::model::{AccountStatus, AuditDetail, DetailKey};
use crate::store::{DeleteAccount, SessionsToEnd, Store, StoreError};

/// How often what the store could not keep is tried again.
const TRY_EVERY: Duration = Duration::from_secs(2);

/// What is said of an act that the store could not keep.
pub(super) const HELD: &str = "it holds in memory from now on, and the store is told again until it agrees";

/// The same of one on something that memory does not know either.
pub(super) const NOT_HELD: &str = "nothing was changed; try again";

const LAST_ADMINISTRATOR: &str = "it is the last active member of the administrators' group";

/// The service: it holds accounts shut out in memory, and tells the store of them until that agrees.
#[derive(Debug)]
pub struct DeferredRevocations {
    pub(super) pending: Arc<PendingRevocations>,
    pub(super) store: Arc<dyn Store>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) access_keys: Arc<AccessKeys>,
    pub(super) audit: Arc<Audit>,
}

/// What came of another try.
enum RetryOutcome {
    /// The store keeps it now.
    Kept,
    /// It does not hold any more, for this reason.
    Void(&'static str),
}

impl DeferredRevocations {
    /// Shuts an account out in memory, because the store could not keep it for this reason. Not if the actor may not do
    /// it: then the store said so, or memory does.
    ///
    /// The caller answers with the error that is returned: what the store did not keep is not done.
    pub(super) async fn hold(
        &self,
        account: AccountName,
        act: AccountAct,
        guarded: &str,
        error: StoreError,
        by: &Actor,
        origin: &Origin,
    ) -> StoreError {
        if error.is_refusal() || !self.sessions.vouch_for(by) {
            return error;
        }
        let event = match act {
            AccountAct::Disable(_) => Event::success(Kind::Disable, account.email.as_str()),
            AccountAct::Delete(_) => Event::success(Kind::AccountDelete, account.email.as_str())
                .detail(AuditDetail::of(DetailKey::Username, &account.username)),
        };
        tracing::error!(
            %error,
            account = %account.id,
            email = %account.email,
            event = event.kind.as_str(),
            "the store could not keep that an account was shut out: it is shut out in memory, and the store is told again"
        );
        let id = account.id;
        let revocation = AccountRevocation {
            account,
            act,
            guarded: guarded.to_owned(),
            event: event.account(id).by(by),
            origin: origin.clone(),
        };
        self.pending.add_account(id, revocation);
        self.sessions.end_in_memory(SessionsToEnd::Account(id, None));
        self.access_keys.refresh(id).await;
        error.with_note(HELD)
    }

    /// Tells the store of accounts that are shut out in memory alone, until `stop`.
    pub async fn run_maintenance(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TRY_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.try_again().await;
        }
        self.try_again().await;
        for (account, shut_out) in self.pending.all_accounts() {
            tracing::error!(
                %account,
                email = shut_out.event.who,
                event = shut_out.event.kind.as_str(),
                "an account was shut out and the store could not be told: it may sign in again after the next start, \
                 until that is done again (`vestibule user disable`, `vestibule user delete`)"
            );
        }
    }

    /// Tells the store once more of all that it does not know of.
    pub(super) async fn try_again(&self) {
        for (id, shut_out) in self.pending.all_accounts() {
            let _turn = self.pending.turn.lock().await;
            if !self.pending.has_account(id) {
                continue;
            }
            let event = shut_out.event.kind.as_str();
            match self.retry_in_store(id, &shut_out).await {
                Ok(RetryOutcome::Kept) => {
                    tracing::warn!(account = %id, event, "the store knows now that an account was shut out");
                    self.audit.note(&shut_out.origin, &shut_out.event);
                }
                Ok(RetryOutcome::Void(why)) => {
                    tracing::error!(account = %id, event, why, "an account that was shut out in memory alone may sign in again");
                }
                Err(error) => {
                    tracing::warn!(%error, account = %id, event, "an account is shut out in memory alone; trying again soon");
                    continue;
                }
            }
            self.pending.remove_account(id);
            self.access_keys.refresh(id).await;
        }
    }

    async fn retry_in_store(
        &self,
        id: AccountId,
        revocation: &AccountRevocation,
    ) -> Result<RetryOutcome, StoreError> {
        let Some(account) = self.store.account(id).await? else {
            return Ok(RetryOutcome::Kept);
        };
        match &revocation.act {
            AccountAct::Disable(_) if account.status != AccountStatus::Active => Ok(RetryOutcome::Kept),
            AccountAct::Disable(decision) => {
                let decision = decision.clone();
                let disabled = edit(&self.store, &revocation.guarded, account.id, move |account| {
                    account.status = AccountStatus::Disabled;
                    account.decision = Some(decision.clone());
                });
                match disabled.await {
                    Ok(_) | Err(EditError::Gone) => Ok(RetryOutcome::Kept),
                    Err(EditError::LastAdministrator) => Ok(RetryOutcome::Void(LAST_ADMINISTRATOR)),
                    Err(EditError::Store(error)) => Err(error),
                    Err(error) => Err(StoreError::Unavailable(error.to_string())),
                }
            }
            AccountAct::Delete(Some(proved)) if *proved != account.password_changed_at => {
                Ok(RetryOutcome::Void("its password was changed meanwhile"))
            }
            AccountAct::Delete(_) => match self.store.delete_account(id, &revocation.guarded).await? {
                DeleteAccount::Deleted | DeleteAccount::Absent => Ok(RetryOutcome::Kept),
                DeleteAccount::LastMember => Ok(RetryOutcome::Void(LAST_ADMINISTRATOR)),
            },
        }
    }
}
