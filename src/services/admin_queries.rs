//! What administrators look at: accounts among many, locks, mails that wait.

use std::collections::BTreeMap;
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
    /// The groups that routes ask for, each with the labels of its routes.
    pub(super) groups_of_routes: BTreeMap<String, Vec<String>>,
    /// `admin.group`
    pub(super) administrators: String,
}

/// A group, with what it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSummary {
    /// Its name.
    pub name: String,
    /// How many accounts are in it.
    pub member_count: usize,
    /// The labels of the routes that name it.
    pub routes: Vec<String>,
    /// Whether it is the administrators' group.
    pub administers: bool,
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

    /// The groups that have members, that a route names or that administer, by name.
    pub async fn groups(&self) -> Result<Vec<GroupSummary>, StoreError> {
        let mut counts = self.store.groups().await?;
        for name in self.groups_of_routes.keys().chain([&self.administrators]) {
            counts.entry(name.clone()).or_default();
        }
        let summary = |(name, member_count): (String, usize)| GroupSummary {
            routes: self.groups_of_routes.get(&name).cloned().unwrap_or_default(),
            administers: name == self.administrators,
            member_count,
            name,
        };
        Ok(counts.into_iter().map(summary).collect())
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
        self.store.locked_for(subject, self.lockout).await
    }

    /// The locks that are in force.
    pub async fn locks(&self) -> Result<LocksInForce, StoreError> {
        let mut found = self.store.locks(self.lockout).await?;
        found.accounts.sort_by_key(|(_, left)| std::cmp::Reverse(*left));
        let mut locks = LocksInForce {
            access_keys: found.access_keys,
            unknown: found.unknown,
            ..LocksInForce::default()
        };
        for (id, left) in found.accounts.into_iter().take(SHOWN) {
            if let Some(account) = self.store.account(id).await? {
                locks.accounts.push((account, left));
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
            mails: Vec::new(),
            next: after,
        };
        for _ in 0..BATCHES {
            let mails = self.store.mails(found.next, BATCH).await?;
            let is_last = mails.len() < BATCH;
            for kept in mails {
                if found.mails.len() == limit {
                    return Ok(found);
                }
                found.next = Some(kept.mail.id);
                if filter.passes(&kept) {
                    found.mails.push(kept);
                }
            }
            if is_last {
                found.next = None;
                break;
            }
        }
        Ok(found)
    }
}
