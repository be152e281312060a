//! Accounts.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{SessionList, SessionView};
use crate::ids::{AccountId, SessionId};
use crate::model::{Account, AccountStatus, Agreement, Decision, Email, Username};
use crate::services::{AccountPage, AccountVersion, SessionInfo};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Its id.
    pub id: AccountId,
    /// Its username.
    pub username: Username,
    /// Those that it had before.
    pub former_usernames: Vec<Username>,
    /// Its address.
    pub email: Email,
    /// Whether the address is proven to be theirs.
    pub email_verified: bool,
    /// The address that it moves to once that is confirmed.
    pub pending_email: Option<PendingEmailView>,
    /// The name, if they said one.
    pub name: Option<String>,
    /// Its groups.
    pub groups: BTreeSet<String>,
    /// Where it stands with the administrators.
    pub status: AccountStatus,
    /// What an administrator last decided about that; its owner does not read it.
    pub decision: Option<Decision>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the password was last set.
    pub password_changed_at: Timestamp,
    /// The terms that they agreed to, oldest first.
    pub agreements: Vec<Agreement>,
    /// The language of their mails, if one is known.
    pub language: Option<String>,
}

/// An address that is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingEmailView {
    /// The address.
    pub email: Email,
    /// When the change was asked for.
    pub since: Timestamp,
}

impl AccountView {
    /// The account as its owner reads it: reasons are for administrators.
    pub fn for_owner(account: &Account) -> Self {
        Self {
            decision: None,
            ..account.clone().into()
        }
    }
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            username: account.username,
            former_usernames: account.former_usernames,
            email: account.email,
            email_verified: account.email_verified,
            pending_email: account.pending_email.map(|pending| PendingEmailView {
                email: pending.email,
                since: pending.since,
            }),
            name: account.name,
            groups: account.groups,
            status: account.status,
            decision: account.decision,
            created_at: account.created_at,
            password_changed_at: account.password_changed_at,
            agreements: account.agreements,
            language: account.language,
        }
    }
}

/// Accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountList {
    /// The accounts.
    pub accounts: Vec<AccountView>,
    /// Which could not be read, and why: they stand in no other's way.
    pub unreadable: Vec<String>,
    /// After what there may be more; none at the end.
    pub next: Option<String>,
}

impl From<AccountPage> for AccountList {
    fn from(page: AccountPage) -> Self {
        Self {
            accounts: page.accounts.into_iter().map(AccountView::from).collect(),
            unreadable: page.unreadable,
            next: page.next,
        }
    }
}

/// An account, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDetails {
    /// The account.
    #[serde(flatten)]
    pub account: AccountView,
    /// What a change is decided by: it may come back as `version`.
    pub version: AccountVersion,
    /// For how many seconds it is still locked after too many failures.
    pub locked_for_seconds: Option<u64>,
    /// How many sessions it has.
    pub session_count: usize,
    /// A page of them, the newest first.
    pub sessions: Vec<SessionView>,
    /// The session that the next page of them comes after.
    pub sessions_next: Option<SessionId>,
}

impl AccountDetails {
    /// `sessions` are all that the account has, `list` a page of them.
    pub fn new(
        account: Account,
        locked_for: Option<Duration>,
        sessions: &[SessionInfo],
        list: SessionList,
    ) -> Self {
        Self {
            version: AccountVersion::of(&account),
            account: account.into(),
            locked_for_seconds: locked_for.map(seconds),
            session_count: sessions.len(),
            sessions: list.sessions,
            sessions_next: list.next,
        }
    }
}

/// What is left of a lock: less than a second is one.
pub(super) fn seconds(left: Duration) -> u64 {
    left.as_secs().max(1)
}

/// A link that sets a new password, which is shown here and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetLink {
    /// The link to hand over.
    pub link: String,
    /// Whose password it sets.
    pub email: Email,
    /// From this moment it serves nobody.
    pub expires_at: Timestamp,
}

/// What became of the lines of an htpasswd file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// The accounts that were added.
    pub added: Vec<AccountView>,
    /// The lines that added none.
    pub refused: Vec<RefusedLine>,
}

/// A line of a file that added no account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLine {
    /// Its number, from 1.
    pub line: usize,
    /// The name on it.
    pub name: String,
    /// Why.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_form_says_null_and_an_owner_does_not_read_why_they_were_declined() {
        let at = Timestamp::UNIX_EPOCH;
        let (id, email) = (AccountId::new(at, &Random::seeded(1)), "ann@example.com".parse());
        let account = Account {
            decision: Some(Decision {
                by: "root@example.com".to_owned(),
                at,
                reason: Some("not one of us".to_owned()),
            }),
            ..Account::new(
                id,
                "ann".parse().unwrap(),
                email.unwrap(),
                "$2b$12$x".to_owned(),
                at,
            )
        };
        let theirs = serde_json::to_value(AccountView::for_owner(&account)).unwrap();
        let of_administrators = serde_json::to_value(AccountView::from(account)).unwrap();
        assert_eq!(of_administrators["decision"]["reason"], "not one of us");
        for absent in ["decision", "name", "pending_email", "language"] {
            assert!(
                theirs.get(absent).is_some_and(serde_json::Value::is_null),
                "{theirs}"
            );
        }
        assert_eq!(theirs["created_at"], "1970-01-01T00:00:00Z");
        assert!(!of_administrators.to_string().contains("$2b"));
    }
}
