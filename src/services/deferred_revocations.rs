//! Account revocations during outages: in force in memory, retried until the store has them.

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

/// The interval between retries.
const TRY_EVERY: Duration = Duration::from_secs(2);

/// The note on the error of an act that is in force in memory only.
pub(super) const HELD: &str = "it holds in memory from now on, and the store is told again until it agrees";

/// What the log says of such an act once another process has the store.
pub(super) const ABANDONED: &str =
    "what was held in memory can be told to the store no more: do it at the gateway that uses the store now";

/// The note on the error of an act on an account that memory does not know.
pub(super) const NOT_HELD: &str = "nothing was changed; try again";

/// What is said of the deletion of an account that cannot be read.
const NOT_DELETED: &str = "it is not deleted; disable it, and delete it once it can be read";

const LAST_ADMINISTRATOR: &str = "it is the last active member of the administrators' group";

/// Revokes accounts in memory when the store fails, and retries in the background.
#[derive(Debug)]
pub struct DeferredRevocations {
    pub(super) pending: Arc<PendingRevocations>,
    pub(super) store: Arc<dyn Store>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) access_keys: Arc<AccessKeys>,
    pub(super) audit: Arc<Audit>,
}

/// The result of a retry.
enum RetryOutcome {
    /// The store has the change.
    Kept,
    /// The revocation is void, for this reason.
    Void(&'static str),
}

impl DeferredRevocations {
    /// Revokes an account's access in memory, since the store failed with `error`; not if the store refused
    /// the actor, or memory knows that it must.
    ///
    /// Returns the error to report: what the store does not have is not done.
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
        if !error.may_pass() {
            return error.with_note(HELD);
        }
        // It would be deleted as soon as it can be read again, with no way to take that back.
        if matches!((&act, &error), (AccountAct::Delete(_), StoreError::Corrupt(_))) {
            return error.with_note(NOT_DELETED);
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

    /// Retries pending account revocations periodically, until `stop`.
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

    /// Retries all pending account revocations once.
    pub(super) async fn try_again(&self) {
        for id in self.pending.account_ids() {
            let _turn = self.pending.turn.lock().await;
            // What it says, it has logged.
            let _ = self.settle_account(id).await;
        }
    }

    /// Tells the store of all that it does not know of, before it is told of another act on this account: that one is
    /// judged by what came before it, whoever may have been the last administrator then. The caller has the turn.
    ///
    /// An error if the store could not be told of what was done to this account.
    pub(super) async fn settle(&self, account: AccountId) -> Result<(), StoreError> {
        let mut settled = Ok(());
        for id in self.pending.account_ids() {
            let told = self.settle_account(id).await;
            if id == account {
                settled = told;
            }
        }
        settled
    }

    /// The same for an act that decides nothing about the account, and takes no turn.
    pub(super) async fn settle_if_pending(&self, account: AccountId) -> Result<(), StoreError> {
        if !self.pending.has_account(account) {
            return Ok(());
        }
        let _turn = self.pending.turn.lock().await;
        self.settle(account).await
    }

    /// Tells the store what was done to one account, in that order.
    async fn settle_account(&self, id: AccountId) -> Result<(), StoreError> {
        for shut_out in self.pending.of_account(id) {
            let event = shut_out.event.kind.as_str();
            match self.retry_in_store(id, &shut_out).await {
                Ok(RetryOutcome::Kept) => {
                    tracing::warn!(account = %id, event, "the store knows now that an account was shut out");
                    self.audit.note(&shut_out.origin, &shut_out.event);
                }
                Ok(RetryOutcome::Void(why)) => {
                    tracing::error!(account = %id, event, why, "an account that was shut out in memory alone may sign in again");
                }
                Err(error) if !error.may_pass() => {
                    let email = &shut_out.event.who;
                    tracing::error!(%error, account = %id, email, event, "{ABANDONED}");
                    self.pending.remove_first(id);
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(%error, account = %id, event, "an account is shut out in memory alone; trying again soon");
                    return Err(error);
                }
            }
            self.pending.remove_first(id);
            self.access_keys.refresh(id).await;
        }
        Ok(())
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
