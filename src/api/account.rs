//! Accounts as JSON.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccessKeyList, AccessKeyView, SessionList, SessionView};
use crate::csv;
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
    /// Its former usernames, which stay reserved for it.
    pub former_usernames: Vec<Username>,
    /// Its address.
    pub email: Email,
    /// Whether the address is verified.
    pub email_verified: bool,
    /// The address that it moves to once that is verified.
    pub pending_email: Option<PendingEmailView>,
    /// The display name, if there is one.
    pub name: Option<String>,
    /// Its groups.
    pub groups: BTreeSet<String>,
    /// Its status.
    pub status: AccountStatus,
    /// The last decision on the status; not shown to its owner.
    pub decision: Option<Decision>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the password was last set.
    pub password_changed_at: Timestamp,
    /// The terms that were accepted, oldest first.
    pub agreements: Vec<Agreement>,
    /// The language of its mails (BCP 47), if it is known.
    pub language: Option<String>,
    /// When its owner last signed in, if ever.
    pub last_sign_in_at: Option<Timestamp>,
}

/// A new address that is not verified yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingEmailView {
    /// The address.
    pub email: Email,
    /// When the change was requested.
    pub since: Timestamp,
}

impl AccountView {
    /// Builds the view for the account's owner, who does not see decisions and their reasons.
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
            last_sign_in_at: account.last_sign_in_at,
        }
    }
}

/// A page of accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountList {
    /// The accounts.
    pub accounts: Vec<AccountView>,
    /// Rows that cannot be read, and why; they do not hide the others.
    pub unreadable: Vec<String>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<String>,
    /// The cursor of the previous page; `None` at the beginning.
    pub previous: Option<String>,
    /// How many accounts match in all; `None` where they would have to be read to be counted.
    pub total_count: Option<usize>,
}

/// The columns of [`AccountList::to_csv`].
const COLUMNS: [&str; 9] = [
    "email",
    "username",
    "name",
    "groups",
    "status",
    "email_verified",
    "created_at",
    "last_sign_in_at",
    "id",
];

impl AccountList {
    /// The accounts as comma-separated values with a header, each row with its line break.
    pub fn to_csv(&self) -> String {
        let mut text = csv::row(COLUMNS);
        for account in &self.accounts {
            let groups: Vec<&str> = account.groups.iter().map(String::as_str).collect();
            let last = account.last_sign_in_at;
            text.push_str(&csv::row([
                account.email.as_str(),
                account.username.as_str(),
                account.name.as_deref().unwrap_or_default(),
                &groups.join(","),
                account.status.as_str(),
                if account.email_verified { "true" } else { "false" },
                &account.created_at.to_string(),
                &last.map(|at| at.to_string()).unwrap_or_default(),
                &account.id.to_string(),
            ]));
        }
        text
    }
}

impl From<AccountPage> for AccountList {
    fn from(page: AccountPage) -> Self {
        Self {
            accounts: page.accounts.into_iter().map(AccountView::from).collect(),
            unreadable: page.unreadable,
            next: page.next,
            previous: page.previous,
            total_count: page.total,
        }
    }
}

/// What became of a change of several accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedAccounts {
    /// The accounts that are so now.
    pub done: Vec<AccountView>,
    /// Their number.
    pub done_count: usize,
    /// Those that are not.
    pub refused: Vec<UnchangedAccount>,
    /// Their number.
    pub refused_count: usize,
}

/// An account that was not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnchangedAccount {
    /// The account, as it was named.
    pub account: String,
    /// Its address, if there is such an account.
    pub email: Option<Email>,
    /// The kind of the refusal, as the slug of a problem.
    pub problem: String,
    /// Why, in the language of the request.
    pub detail: String,
}

/// An account that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedAccount {
    /// The account.
    #[serde(flatten)]
    pub account: AccountView,
    /// The link that sets its password, shown only here; `None` where it is mailed, or a password was given.
    pub link: Option<String>,
    /// When the link expires.
    pub link_expires_at: Option<Timestamp>,
}

/// An account with its version, lock, access keys and sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDetails {
    /// The account.
    #[serde(flatten)]
    pub account: AccountView,
    /// The version to send back with a change, as `version`.
    pub version: AccountVersion,
    /// The seconds that it is still locked.
    pub locked_for_seconds: Option<u64>,
    /// Its access keys, in the order of creation.
    pub access_keys: Vec<AccessKeyView>,
    /// Which of its access keys cannot be read, and why; they stand in no other's way.
    pub unreadable: Vec<String>,
    /// The number of its sessions.
    pub session_count: usize,
    /// A page of its sessions, newest first.
    pub sessions: Vec<SessionView>,
    /// The cursor of the next page of sessions.
    pub sessions_next: Option<SessionId>,
}

impl AccountDetails {
    /// `sessions` are all sessions of the account, `list` a page of them.
    pub fn new(
        account: Account,
        locked_for: Option<Duration>,
        sessions: &[SessionInfo],
        list: SessionList,
        keys: AccessKeyList,
    ) -> Self {
        Self {
            version: AccountVersion::of(&account),
            account: account.into(),
            locked_for_seconds: locked_for.map(seconds),
            access_keys: keys.access_keys,
            unreadable: keys.unreadable,
            session_count: sessions.len(),
            sessions: list.sessions,
            sessions_next: list.next,
        }
    }
}

/// The seconds left of a lock, at least 1.
pub(super) fn seconds(left: Duration) -> u64 {
    left.as_secs().max(1)
}

/// A reset link, which is shown only here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetLink {
    /// The link to hand over.
    pub link: String,
    /// The account's address.
    pub email: Email,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// What became of the lines of an htpasswd file, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// The accounts that were added.
    pub added: Vec<AccountView>,
    /// Where nothing is to be added: the accounts that would be.
    pub planned: Option<Vec<PlannedAccount>>,
    /// How many accounts that were added, or would be, are not listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unlisted_count: u64,
    /// The lines that were passed over, since their addresses have accounts.
    pub skipped: Vec<SkippedLine>,
    /// The lines that added no account.
    pub refused: Vec<RefusedLine>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// An account that a line of a file would add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedAccount {
    /// The number of the line, from 1.
    pub line: usize,
    /// The address.
    pub email: Email,
    /// The username.
    pub username: Username,
    /// The groups.
    pub groups: BTreeSet<String>,
}

/// A line of a file whose address has an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedLine {
    /// Its number, from 1.
    pub line: usize,
    /// The address.
    pub email: Email,
}

/// A refused line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLine {
    /// Its number, from 1.
    pub line: usize,
    /// The name on the line.
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
        for absent in ["decision", "name", "pending_email", "language", "last_sign_in_at"] {
            assert!(
                theirs.get(absent).is_some_and(serde_json::Value::is_null),
                "{theirs}"
            );
        }
        assert_eq!(theirs["created_at"], "1970-01-01T00:00:00Z");
        assert!(!of_administrators.to_string().contains("$2b"));
    }
}
