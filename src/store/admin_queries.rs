//! What administrators look for: accounts among many, a mail, and locks.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::ids::{AccountId, MailId};
use crate::model::{AccessKeyId, Account, AccountStatus, Email, LockoutPolicy, QueuedMail};

/// Looking for accounts, mails and locks: a part of every [`Store`](super::Store).
#[async_trait]
pub trait AdminQueryStore: Send + Sync + 'static {
    /// Up to `limit` accounts that the filter lets through, from the one after `after`, which is the `next` of another
    /// page. In the order they were made, or with a text in the order of what it found.
    ///
    /// What a call may look at is bounded: a page may be short, or empty, and still have a next one.
    async fn find_accounts(
        &self,
        filter: AccountFilter,
        after: Option<String>,
        limit: usize,
    ) -> Result<AccountPage, StoreError>;

    /// A mail that waits, or failed for good.
    async fn mail(&self, id: MailId) -> Result<Option<QueuedMail>, StoreError>;

    /// The locks that are in force.
    async fn locks(&self, policy: LockoutPolicy) -> Result<Locks, StoreError>;
}

/// Which accounts are wanted: all that all of this is true of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFilter {
    /// The address, the username, one that it had before, the name or a word of it begins with this, in any case.
    pub text: Option<String>,
    /// Stands there.
    pub status: Option<AccountStatus>,
    /// Is in this group.
    pub group: Option<String>,
}

impl AccountFilter {
    /// What is looked for, as [`terms`](Self::terms) are written, an address in its one spelling; none if that is nothing.
    pub fn prefix(&self) -> Option<String> {
        let text = self.text.as_deref()?;
        let text = match text.trim().parse::<Email>() {
            Ok(email) => email.key().to_owned(),
            Err(_) => folded(text),
        };
        Some(text).filter(|text| !text.is_empty())
    }

    /// Whether it lets an account through, its text aside.
    pub fn passes(&self, account: &Account) -> bool {
        self.status.is_none_or(|status| status == account.status)
            && self.group.as_deref().is_none_or(|group| account.is_in(group))
    }

    /// All that an account is found by, each once and in order.
    pub fn terms(account: &Account) -> Vec<String> {
        let name = folded(account.name.as_deref().unwrap_or_default());
        let words = name
            .char_indices()
            .filter(|(at, c)| {
                !c.is_whitespace() && name[..*at].chars().next_back().is_none_or(char::is_whitespace)
            })
            .map(|(at, _)| name[at..].to_owned());
        let mut terms: Vec<String> = [
            account.email.key().to_owned(),
            account.username.as_str().to_owned(),
        ]
        .into_iter()
        .chain(account.former_usernames.iter().map(ToString::to_string))
        .chain(words)
        .collect();
        terms.sort();
        terms.dedup();
        terms
    }
}

fn folded(text: &str) -> String {
    text.trim().to_lowercase().replace(char::is_control, " ")
}

/// Accounts that were found.
#[derive(Clone, Debug, Default)]
pub struct AccountPage {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// Which could not be read, and why: they stand in no other's way (S49).
    pub unreadable: Vec<String>,
    /// After what there may be more; none at the end.
    pub next: Option<String>,
}

/// Locks that are in force, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locks {
    /// Of accounts.
    pub accounts: Vec<(AccountId, Duration)>,
    /// Of access keys.
    pub access_keys: Vec<(AccessKeyId, Duration)>,
    /// How many names that belong to nobody.
    pub unknown: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_folded_like_what_it_finds() {
        let filter = |text: &str| AccountFilter {
            text: Some(text.to_owned()),
            ..AccountFilter::default()
        };
        assert_eq!(filter("  KIM ").prefix().as_deref(), Some("kim"));
        assert_eq!(filter("Ann@Exam").prefix().as_deref(), Some("ann@exam"));
        assert_eq!(
            filter("ann@xn--bcher-kva.example").prefix().as_deref(),
            Some("ann@bücher.example")
        );
        assert_eq!(filter("  ").prefix(), None);
        assert_eq!(AccountFilter::default().prefix(), None);
    }
}
