//! Queries for administrators: accounts, locks, queued mails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::approval::Approval;
use crate::ids::MailId;
use crate::model::{
    AccessKeyId, Account, AccountStatus, Administrators, LockoutPolicy, LockoutSubject, MailState, QueuedMail,
};
use crate::store::{AccountFilter, AccountPage, AccountQuery, Store, StoreError};

/// How many accounts awaiting approval are read to count those that lack nothing else.
const COUNTED: usize = 1000;

/// Mails read at a time, and the most reads, to fill a page.
const BATCH: usize = 500;
const BATCHES: usize = 10;

/// The most locked accounts that are returned.
const SHOWN: usize = 200;

/// Runs the queries of administrators.
#[derive(Debug)]
pub struct AdminQueries {
    pub(super) store: Arc<dyn Store>,
    pub(super) approval: Approval,
    pub(super) lockout: LockoutPolicy,
    /// The groups that routes ask for, each with the labels of its routes.
    pub(super) groups_of_routes: BTreeMap<String, Vec<String>>,
    pub(super) administrators: Administrators,
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
    /// Accounts and the time left, the longest first; at most 200.
    pub accounts: Vec<(Account, Duration)>,
    /// Access keys and the time left.
    pub access_keys: Vec<(AccessKeyId, Duration)>,
    /// The number of locked names that no account has.
    pub unknown: usize,
    /// Whose locks cannot be read, and why.
    pub unreadable: Vec<String>,
}

/// A filter of queued mails; all given fields must match.
#[derive(Clone, Debug, Default)]
pub struct MailFilter {
    /// A part of the address, in any case.
    pub to: String,
    /// The mail's kind, by [its name](crate::model::MailKind::as_str).
    pub topic: Option<&'static str>,
    /// Whether delivery failed permanently.
    pub failed: Option<bool>,
}

impl MailFilter {
    /// Returns whether a mail matches.
    pub fn passes(&self, queued: &QueuedMail) -> bool {
        let to = &queued.mail.to;
        let text = self.to.to_lowercase();
        let failed = matches!(queued.state, MailState::Failed(_));
        (to.key().contains(&text) || to.deliverable().to_lowercase().contains(&text))
            && self.topic.is_none_or(|topic| topic == queued.mail.topic.as_str())
            && self.failed.is_none_or(|wanted| wanted == failed)
    }
}

/// A page of queued mails.
#[derive(Clone, Debug, Default)]
pub struct MailPage {
    /// In the order they were enqueued.
    pub mails: Vec<QueuedMail>,
    /// Which cannot be read, and why, whatever the filter.
    pub unreadable: Vec<String>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<MailId>,
}

impl AdminQueries {
    /// Returns a page of the accounts that match: see
    /// [`find_accounts`](crate::store::AdminQueryStore::find_accounts). Where nothing is left before a cursor, the first page:
    /// what stood at the cursor itself is on it.
    pub async fn find_accounts(&self, query: AccountQuery) -> Result<AccountPage, StoreError> {
        let page = self.store.find_accounts(query.clone()).await?;
        let is_empty = page.accounts.is_empty() && page.unreadable.is_empty() && page.previous.is_none();
        if query.before.is_none() || query.after.is_some() || !is_empty {
            return Ok(page);
        }
        let first = AccountQuery {
            before: None,
            ..query
        };
        self.store.find_accounts(first).await
    }

    /// The groups that have members, that a route names or that administer, by name.
    pub async fn groups(&self) -> Result<Vec<GroupSummary>, StoreError> {
        let mut counts = self.store.groups().await?;
        let administrators = self.administrators.group();
        for name in self.groups_of_routes.keys().chain([&administrators]) {
            counts.entry(name.clone()).or_default();
        }
        let summary = |(name, member_count): (String, usize)| GroupSummary {
            routes: self.groups_of_routes.get(&name).cloned().unwrap_or_default(),
            administers: name == administrators,
            member_count,
            name,
        };
        Ok(counts.into_iter().map(summary).collect())
    }

    /// Counts the accounts that lack only approval, among the first 1000 that await approval.
    pub async fn waiting(&self) -> Result<usize, StoreError> {
        let filter = AccountFilter {
            status: Some(AccountStatus::AwaitingApproval),
            ..AccountFilter::default()
        };
        let query = AccountQuery {
            filter,
            limit: COUNTED,
            ..AccountQuery::default()
        };
        let page = self.store.find_accounts(query).await?;
        let waits = |account: &&Account| self.approval.awaits_only_approval(account);
        Ok(page.accounts.iter().filter(waits).count())
    }

    /// Returns for how long an account is still locked; `None` if it is not.
    pub async fn locked_for(&self, account: &Account) -> Result<Option<Duration>, StoreError> {
        let subject = LockoutSubject::Account(account.id);
        match self.store.locked_for(subject, self.lockout).await {
            // As an attempt to sign in finds it.
            Err(StoreError::Corrupt(_)) => Ok(Some(self.lockout.duration)),
            locked => locked,
        }
    }

    /// Returns the locks in force.
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

    /// Returns up to `limit` queued or failed mails that match, after `after`.
    ///
    /// The work of a call is bounded: a page may be short, or empty, and still have a next one.
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
