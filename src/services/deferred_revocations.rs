//! Account revocations during outages: in force in memory, retried until the store has them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, timeout_at};
use tokio_util::sync::CancellationToken;

use super::account_edit::{EditError, edit_and_mail};
use super::account_name::AccountName;
use super::pending_revocations::{AccountAct, AccountRevocation, Arrival, PendingRevocations};
use super::unsettled_change::UnsettledChange;
use super::{AccessKeys, Actor, Audit, Event, Kind, Origin, Sessions};
use crate::ids::AccountId;
use crate::model::{Account, AccountStatus, AuditDetail, DetailKey};
use crate::store::{DeleteAccount, SessionsToEnd, Store, StoreError};

/// The interval between retries.
const TRY_EVERY: Duration = Duration::from_secs(2);

/// How long a revocation waits for the store before it holds in memory (S28).
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// For how long an act has the store told of other accounts first.
const SETTLING: Duration = Duration::from_secs(1);

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

/// A revocation that memory holds.
#[derive(Debug)]
pub(super) struct HeldRevocation(AccountId, Arrival);

/// The error of a store that has not kept a revocation within [`PATIENCE`].
pub(super) fn slow() -> StoreError {
    StoreError::Unavailable(format!("it has not answered for {} s", PATIENCE.as_secs()))
}

/// Awaits `work`, and calls `hold` once that takes until `deadline`. Returns the outcomes of both.
pub(super) async fn or_hold<T, H>(
    mut work: impl Future<Output = T> + Unpin,
    deadline: Instant,
    hold: impl FnOnce() -> Option<H>,
) -> (T, Option<H>) {
    if let Ok(outcome) = timeout_at(deadline, &mut work).await {
        return (outcome, None);
    }
    let item = hold();
    (work.await, item)
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
    pub(super) fn hold(
        &self,
        account: AccountName,
        act: AccountAct,
        error: StoreError,
        by: &Actor,
        origin: &Origin,
    ) -> StoreError {
        match self.try_hold(account, act, error, by, origin) {
            Ok((_, error)) | Err(error) => error,
        }
    }

    /// As [`Self::hold`]. Returns what is held, with the error to report; or only that if memory holds nothing.
    pub(super) fn try_hold(
        &self,
        account: AccountName,
        act: AccountAct,
        error: StoreError,
        by: &Actor,
        origin: &Origin,
    ) -> Result<(HeldRevocation, StoreError), StoreError> {
        if error.is_refusal() || !self.sessions.vouch_for(by) {
            return Err(error);
        }
        if !error.may_pass() {
            return Err(error.with_note(HELD));
        }
        // It would be deleted as soon as it can be read again, with no way to take that back.
        if matches!((&act, &error), (AccountAct::Delete(_), StoreError::Corrupt(_))) {
            return Err(error.with_note(NOT_DELETED));
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
            event: event.account(id).by(by),
            origin: origin.clone(),
        };
        let held = HeldRevocation(id, self.pending.add_account(id, revocation));
        self.sessions.end_in_memory(SessionsToEnd::Account(id, None));
        self.access_keys.suspend(id);
        Ok((held, error.with_note(HELD)))
    }

    /// Deletes an account in `store`, as far as its password is still the one that was `proved`, if one was. Memory
    /// holds that once the store takes its time or fails.
    pub(super) async fn delete(
        &self,
        store: &Arc<dyn Store>,
        account: &Account,
        proved: Option<Timestamp>,
        by: &Actor,
        origin: &Origin,
    ) -> Result<DeleteAccount, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        let try_hold = |error| self.try_hold(account.into(), AccountAct::Delete(proved), error, by, origin);
        let hold = || try_hold(slow()).ok();
        let turn = match timeout_at(deadline, self.pending.turn.lock()).await {
            Ok(turn) => turn,
            Err(_) => match hold() {
                Some((_, error)) => return Err(error),
                None => self.pending.turn.lock().await,
            },
        };
        let store = by.act_on(store);
        let deleted = Box::pin(async {
            self.settle(account.id).await?;
            let gone = Account {
                status: AccountStatus::Disabled,
                ..account.clone()
            };
            let change = UnsettledChange::begin(&self.sessions, &self.access_keys, gone);
            match store.delete_account(account.id).await {
                Ok(deleted) => Ok((deleted, change)),
                Err(error) => {
                    change.fail(&error);
                    Err(error)
                }
            }
        });
        let (deleted, revocation) = or_hold(deleted, deadline, hold).await;
        let deleted = match deleted {
            Err(error) if !error.is_refusal() => {
                return Err(match revocation {
                    Some(_) => error.with_note(HELD),
                    None => match try_hold(error) {
                        Ok((_, error)) | Err(error) => error,
                    },
                });
            }
            deleted => deleted,
        };
        // The store has it, or has refused it.
        if let Some((revocation, _)) = revocation {
            self.release(revocation);
            if deleted.is_err() {
                self.access_keys.refresh(account.id).await;
            }
        }
        drop(turn);
        let (deleted, change) = deleted?;
        if deleted == DeleteAccount::Deleted {
            self.sessions
                .end_in_memory(SessionsToEnd::Account(account.id, None));
            self.access_keys.suspend(account.id);
        }
        change.finish();
        // One that was not deleted may sign in again, and its keys.
        self.access_keys.refresh(account.id).await;
        Ok(deleted)
    }

    /// The store has what was held while it took its time. The caller has had the turn since before that.
    pub(super) fn release(&self, HeldRevocation(id, arrival): HeldRevocation) {
        self.pending.remove_account(id, arrival);
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
    /// An error if the store could not be told of what was done to this account. Of others it is told as long as
    /// it answers: a commit that hangs for each of them would keep this act waiting for minutes.
    pub(super) async fn settle(&self, account: AccountId) -> Result<(), StoreError> {
        let (mut settled, deadline) = (Ok(()), Instant::now() + SETTLING);
        for id in self.pending.account_ids() {
            if id != account && Instant::now() >= deadline {
                continue;
            }
            let told = self.settle_account(id).await;
            if id == account {
                settled = told;
            }
        }
        settled
    }

    /// Returns whether an account is shut out in memory and the store does not know yet.
    pub(super) fn is_pending(&self, account: AccountId) -> bool {
        self.pending.has_account(account)
    }

    /// The same for an act that decides nothing about the account, and takes no turn.
    pub(super) async fn settle_if_pending(&self, account: AccountId) -> Result<(), StoreError> {
        if !self.is_pending(account) {
            return Ok(());
        }
        let _turn = self.pending.turn.lock().await;
        self.settle(account).await
    }

    /// Tells the store what was done to one account, in that order.
    async fn settle_account(&self, id: AccountId) -> Result<(), StoreError> {
        for (arrival, shut_out) in self.pending.of_account(id) {
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
                    self.pending.remove_account(id, arrival);
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(%error, account = %id, event, "an account is shut out in memory alone; trying again soon");
                    return Err(error);
                }
            }
            self.pending.remove_account(id, arrival);
            self.access_keys.refresh(id).await;
        }
        Ok(())
    }

    /// Decides by the account as the store's transaction finds it, which waits for an earlier change that is still
    /// under way: what a read beside it finds may be outdated a moment later.
    async fn retry_in_store(
        &self,
        id: AccountId,
        revocation: &AccountRevocation,
    ) -> Result<RetryOutcome, StoreError> {
        match &revocation.act {
            AccountAct::Disable(decision) => {
                let decision = decision.clone();
                let disabled = edit_and_mail(&self.store, id, move |account| {
                    if account.status != AccountStatus::Active {
                        return Err(EditError::Status(account.status));
                    }
                    account.status = AccountStatus::Disabled;
                    account.decision = Some(decision.clone());
                    Ok(Vec::new())
                });
                match disabled.await {
                    // One that may not sign in is shut out already.
                    Ok(_) | Err(EditError::Gone | EditError::Status(_)) => Ok(RetryOutcome::Kept),
                    Err(EditError::LastAdministrator) => Ok(RetryOutcome::Void(LAST_ADMINISTRATOR)),
                    Err(EditError::Store(error)) => Err(error),
                    Err(error) => Err(StoreError::Unavailable(error.to_string())),
                }
            }
            AccountAct::Delete(proved) => {
                let deleted = self.store.delete_account_with_password(id, *proved);
                match deleted.await? {
                    DeleteAccount::Deleted | DeleteAccount::Absent => Ok(RetryOutcome::Kept),
                    DeleteAccount::LastMember => Ok(RetryOutcome::Void(LAST_ADMINISTRATOR)),
                    DeleteAccount::PasswordChanged => {
                        Ok(RetryOutcome::Void("its password was changed meanwhile"))
                    }
                }
            }
        }
    }
}
