//! Administrators' queries: searching accounts, a mail by id, and locks.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::ids::{AccountId, MailId};
use crate::model::{AccessKeyId, Account, AccountStatus, Email, LockoutPolicy, QueuedMail, Username};

/// The longest search term, in characters.
const LONGEST_TERM: usize = 256;

/// Administrators' queries: a part of [`Store`](super::Store).
#[async_trait]
pub trait AdminQueryStore: Send + Sync + 'static {
    /// A page of the accounts that match.
    ///
    /// A call reads the rows of its page and, where a search finds few, those that it finds; an order is read
    /// along its index. So it examines a bounded number of rows: a page may be short, or empty, and still have
    /// a next one.
    async fn find_accounts(&self, query: AccountQuery) -> Result<AccountPage, StoreError>;

    /// The groups that accounts are in, and how many accounts are in each, as the store keeps count.
    async fn groups(&self) -> Result<BTreeMap<String, usize>, StoreError>;

    /// The queued or failed mail with this id.
    async fn mail(&self, id: MailId) -> Result<Option<QueuedMail>, StoreError>;

    /// The locks in force.
    async fn locks(&self, policy: LockoutPolicy) -> Result<Locks, StoreError>;
}

/// The most index rows of a search that are read to sort what it finds, and to count it. A search that finds
/// more is read along the index of its order.
pub(super) const FEW: usize = 1_000;

/// A question for a page of accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountQuery {
    /// Only those that this lets through.
    pub filter: AccountFilter,
    /// `None`: in order of creation, or with a text in the order of the terms found.
    #[serde(default)]
    pub order: Option<AccountOrder>,
    /// The `next` of another page: this one begins after it.
    pub after: Option<String>,
    /// The `previous` of another page: this one ends before it. `after` goes first.
    #[serde(default)]
    pub before: Option<String>,
    /// The most accounts.
    pub limit: usize,
}

/// An order of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountOrder {
    /// What decides.
    pub by: AccountSort,
    /// Whether the last comes first.
    pub descending: bool,
}

/// What decides an order of accounts. Each has an index, so that a page of it costs as much as its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountSort {
    /// When they were created.
    Created,
    /// Their addresses.
    Email,
    /// Their names in lower case, the username where there is none.
    Name,
    /// When their owners last signed in; those who never did come first.
    LastSignIn,
}

impl AccountSort {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Email, Self::Name, Self::Created, Self::LastSignIn];

    /// Its name in URLs and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Email => "email",
            Self::Name => "name",
            Self::LastSignIn => "last-sign-in",
        }
    }
}

impl fmt::Display for AccountOrder {
    /// Its name, after a `-` where the last comes first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.descending { "-" } else { "" };
        write!(f, "{sign}{}", self.by.as_str())
    }
}

impl FromStr for AccountOrder {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<Self, OrderError> {
        let (descending, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text),
        };
        let by = AccountSort::ALL.into_iter().find(|by| by.as_str() == name);
        by.map(|by| Self { by, descending }).ok_or(OrderError)
    }
}

/// The error for a text that names no order; lists the valid names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("email, name, created or last-sign-in, each with a - before it for the reverse")]
pub struct OrderError;

/// A filter for accounts; all given fields must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFilter {
    /// A prefix, in any case, of the address, a current or former username, the name or a word of it.
    pub text: Option<String>,
    /// The account's status.
    pub status: Option<AccountStatus>,
    /// A group that the account is in.
    pub group: Option<String>,
    /// Was made before this moment, and its owner has not signed in since.
    #[serde(default)]
    pub inactive_since: Option<Timestamp>,
}

impl AccountFilter {
    /// The text folded as [`terms`](Self::terms) are, an address to its key; `None` if it is empty.
    pub fn prefix(&self) -> Option<String> {
        let text = self.text.as_deref()?;
        let text = match text.trim().parse::<Email>() {
            Ok(email) => email.key().to_owned(),
            Err(_) => folded(text),
        };
        Some(cut(&text)).filter(|text| !text.is_empty())
    }

    /// Returns whether the account has the status and group; the text is not checked.
    pub fn passes(&self, account: &Account) -> bool {
        self.status.is_none_or(|status| status == account.status)
            && self.group.as_deref().is_none_or(|group| account.is_in(group))
            && self
                .inactive_since
                .is_none_or(|since| account.last_active_at() < since)
    }

    /// What an account is sorted by in the order of names: its name or, without one, its username, folded.
    pub(super) fn sort_name(account: &Account) -> String {
        folded(account.name.as_deref().unwrap_or(account.username.as_str()))
    }

    /// The terms by which an account is found: of at most 256 characters, sorted, without duplicates.
    pub fn terms(account: &Account) -> Vec<String> {
        let mut terms = Self::words(account);
        terms.extend(names(account).map(cut));
        terms.sort();
        terms.dedup();
        terms
    }

    /// The terms that are neither the address nor a username: the name from each of its words on.
    pub(super) fn words(account: &Account) -> Vec<String> {
        let name = folded(account.name.as_deref().unwrap_or_default());
        let begins_a_word = |(at, c): &(usize, char)| {
            !c.is_whitespace() && name[..*at].chars().next_back().is_none_or(char::is_whitespace)
        };
        let words = name
            .char_indices()
            .filter(begins_a_word)
            .map(|(at, _)| cut(&name[at..]));
        let mut words: Vec<String> = words
            .filter(|word| !names(account).any(|name| name == word))
            .collect();
        words.sort();
        words.dedup();
        words
    }
}

/// The address and the usernames of an account, former ones included.
fn names(account: &Account) -> impl Iterator<Item = &str> {
    let usernames = account.former_usernames.iter().chain([&account.username]);
    usernames.map(Username::as_str).chain([account.email.key()])
}

/// Cuts a term, or what is to be found by one: entries of an index have a limited size.
fn cut(term: &str) -> String {
    term.chars().take(LONGEST_TERM).collect()
}

fn folded(text: &str) -> String {
    text.trim().to_lowercase().replace(char::is_control, " ")
}

/// A page of accounts.
#[derive(Clone, Debug, Default)]
pub struct AccountPage {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// Accounts that could not be read, with the error; they do not fail the others (S49).
    pub unreadable: Vec<String>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<String>,
    /// The cursor of the previous page; `None` at the beginning.
    pub previous: Option<String>,
    /// How many accounts match in all; `None` where they would have to be read to be counted.
    pub total: Option<usize>,
}

/// Locks in force, with the time that they still last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locks {
    /// Locked accounts.
    pub accounts: Vec<(AccountId, Duration)>,
    /// Locked access keys.
    pub access_keys: Vec<(AccessKeyId, Duration)>,
    /// The number of locked unknown names.
    pub unknown: usize,
    /// Whose failures cannot be read, and why: they stand in no other's way (S49).
    pub unreadable: Vec<String>,
}

impl Locks {
    /// Names those of `count` names whose failures cannot be read, one of them for this reason.
    pub(super) fn add_unreadable_names(&mut self, count: usize, why: &str) {
        match count {
            0 => {}
            1 => self.unreadable.push(why.to_owned()),
            several => self.unreadable.push(format!("{why} (and {} more)", several - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_one_name_everywhere() {
        for by in AccountSort::ALL {
            assert_eq!(serde_json::to_value(by).unwrap(), by.as_str());
            for descending in [false, true] {
                let order = AccountOrder { by, descending };
                assert_eq!(order.to_string().parse(), Ok(order));
            }
            assert!(OrderError.to_string().contains(by.as_str()));
        }
        assert_eq!("--email".parse::<AccountOrder>(), Err(OrderError));
    }

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
