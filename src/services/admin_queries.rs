//! What administrators look at: accounts among many, locks, mails that wait.

use std::sync::Arc;
use std::time::Duration;

use super::approval::Approval;
use crate::ids::MailId;
use crate::model::{
    AccessKeyId, Account, AccountStatus, LockoutPolicy, LockoutSubject, MailState, QueuedMail,
};
use crate::store::{AccountFilter, AccountPage, Store, StoreError};

/// Those that are not approved are counted so far.
const COUNTED: usize = 1000;

/// Mails that are read at a time, and how often, to find a page of some.
const BATCH: usize = 500;
const BATCHES: usize = 10;

/// Locked accounts that are shown with their names.
const SHOWN: usize = 200;

/// The service.
#[derive(Debug)]
pub struct AdminQueries {
    pub(super) store: Arc<dyn Store>,
    pub(super) approval: Approval,
    pub(super) lockout: LockoutPolicy,
}

/// The locks that are in force.
#[derive(Debug, Default)]
pub struct LocksInForce {
    /// Accounts and for how long, the longest first; no more than 200.
    pub accounts: Vec<(Account, Duration)>,
    /// Access keys and for how long.
    pub access_keys: Vec<(AccessKeyId, Duration)>,
    /// How many names that belong to nobody.
    pub unknown: usize,
    /// Whose locks cannot be read, and why.
    pub unreadable: Vec<String>,
}

/// Which mails are wanted: all that all of this is true of.
#[derive(Clone, Debug, Default)]
pub struct MailFilter {
    /// The address has this in it, in any case.
    pub to: String,
    /// It says this, by [its name](crate::model::MailKind::as_str).
    pub topic: Option<&'static str>,
    /// Whether it failed for good.
    pub failed: Option<bool>,
}

impl MailFilter {
    /// Whether it lets a mail through.
    pub fn passes(&self, queued: &QueuedMail) -> bool {
        let to = &queued.mail.to;
        let text = self.to.to_lowercase();
        let failed = matches!(queued.state, MailState::Failed(_));
        (to.key().contains(&text) || to.deliverable().to_lowercase().contains(&text))
            && self.topic.is_none_or(|topic| topic == queued.mail.topic.as_str())
            && self.failed.is_none_or(|wanted| wanted == failed)
    }
}

/// Mails that were found.
#[derive(Clone, Debug, Default)]
pub struct MailPage {
    /// In the order they were enqueued.
    pub mails: Vec<QueuedMail>,
    /// Which cannot be read, and why, whatever the filter.
    pub unreadable: Vec<String>,
    /// After what there may be more; none at the end.
    pub next: Option<MailId>,
}

impl AdminQueries {
    /// Up to `limit` accounts that the filter lets through: see
    /// [`find_accounts`](crate::store::AdminQueryStore::find_accounts).
    pub async fn find_accounts(
        &self,
        filter: AccountFilter,
        after: Option<String>,
        limit: usize,
    ) -> Result<AccountPage, StoreError> {
        self.store.find_accounts(filter, after, limit).await
    }

    /// How many accounts wait for approval and nothing else, of the first 1000 that are not approved.
    pub async fn waiting(&self) -> Result<usize, StoreError> {
        let filter = AccountFilter {
            status: Some(AccountStatus::AwaitingApproval),
            ..AccountFilter::default()
        };
        let page = self.store.find_accounts(filter, None, COUNTED).await?;
        let waits = |account: &&Account| self.approval.awaits_only_approval(account);
        Ok(page.accounts.iter().filter(waits).count())
    }

    /// For how long an account is still locked.
    pub async fn locked_for(&self, account: &Account) -> Result<Option<Duration>, StoreError> {
        let subject = LockoutSubject::Account(account.id);
        match self.store.locked_for(subject, self.lockout).await {
            // As an attempt to sign in finds it.
            Err(StoreError::Corrupt(_)) => Ok(Some(self.lockout.duration)),
            locked => locked,
        }
    }

    /// The locks that are in force.
    pub async fn locks(&self) -> Result<LocksInForce, StoreError> {
        let mut found = self.store.locks(self.lockout).await?;
        found.accounts.sort_by_key(|(_, left)| std::cmp::Reverse(*left));
        let mut locks = LocksInForce {
            access_keys: found.access_keys,
            unknown: found.unknown,
            unreadable: found.unreadable,
            ..LocksInForce::default()
        };
        for (id, left) in found.accounts.into_iter().take(SHOWN) {
            match self.store.account(id).await {
                Ok(account) => locks.accounts.extend(account.map(|account| (account, left))),
                Err(error @ StoreError::Corrupt(_)) => locks.unreadable.push(error.reason()),
                Err(error) => return Err(error),
            }
        }
        Ok(locks)
    }

    /// Up to `limit` mails that wait or failed and that the filter lets through, from the one after `after`.
    ///
    /// What a call looks at is bounded: a page may be short, or empty, and still have a next one.
    pub async fn find_mails(
        &self,
        filter: &MailFilter,
        after: Option<MailId>,
        limit: usize,
    ) -> Result<MailPage, StoreError> {
        let mut found = MailPage {
            next: after,
            ..MailPage::default()
        };
        for _ in 0..BATCHES {
            let batch = self.store.mails(found.next, BATCH).await?;
            let mut unreadable = batch.unreadable.into_iter().peekable();
            for kept in batch.mails {
                if found.mails.len() == limit {
                    return Ok(found);
                }
                found.next = Some(kept.mail.id);
                while let Some((_, why)) = unreadable.next_if(|(id, _)| *id < kept.mail.id) {
                    found.unreadable.push(why);
                }
                if filter.passes(&kept) {
                    found.mails.push(kept);
                }
            }
            found.unreadable.extend(unreadable.map(|(_, why)| why));
            found.next = batch.next;
            if found.next.is_none() {
                break;
            }
        }
        Ok(found)
    }
}
