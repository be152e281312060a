//! What is answered of accounts that were looked for, of mails that wait and of locks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::AccountView;
use crate::ids::{AccountId, MailId};
use crate::model::{AccessKeyId, Email, MailState, QueuedMail, Username};
use crate::services::LocksInForce;

/// Accounts that were looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundUsers {
    /// The accounts.
    pub users: Vec<AccountView>,
    /// Which could not be read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// After what there may be more; none at the end.
    pub next: Option<String>,
}

/// A mail that waits to be sent, or failed for good, without a link: none is at rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailView {
    /// Its id.
    pub id: MailId,
    /// To whom.
    pub to: Email,
    /// What it says.
    pub topic: String,
    /// How often it was tried to send it.
    pub attempts: u32,
    /// Whether it failed for good.
    pub failed: bool,
    /// When it is tried, or failed for good.
    pub at: Timestamp,
    /// What the mail server said last.
    pub reason: Option<String>,
}

impl From<QueuedMail> for MailView {
    fn from(kept: QueuedMail) -> Self {
        let (failed, at) = match kept.state {
            MailState::Due(at) => (false, at),
            MailState::Failed(at) => (true, at),
        };
        Self {
            id: kept.mail.id,
            to: kept.mail.to,
            topic: kept.mail.topic.as_str().to_owned(),
            attempts: kept.attempts,
            failed,
            at,
            reason: kept.reason,
        }
    }
}

/// Mails that are sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResentMails {
    /// Their ids.
    pub again: Vec<MailId>,
}

/// The locks that are in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocksView {
    /// Those of accounts, the longest first; no more than 200.
    pub accounts: Vec<LockedAccount>,
    /// Those of access keys.
    pub access_keys: Vec<LockedKey>,
    /// How many names are locked that belong to nobody.
    pub unknown_names: usize,
}

/// An account that is locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedAccount {
    /// Its id.
    pub id: AccountId,
    /// Its address.
    pub email: Email,
    /// Its username.
    pub username: Username,
    /// For how long it still is.
    pub locked_for_seconds: u64,
}

/// An access key that is locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedKey {
    /// Its public half.
    pub access_key: AccessKeyId,
    /// For how long it still is.
    pub locked_for_seconds: u64,
}

impl From<LocksInForce> for LocksView {
    fn from(locks: LocksInForce) -> Self {
        let accounts = locks.accounts.into_iter().map(|(account, left)| LockedAccount {
            id: account.id,
            email: account.email,
            username: account.username,
            locked_for_seconds: left.as_secs().max(1),
        });
        let access_keys = locks.access_keys.into_iter().map(|(access_key, left)| LockedKey {
            access_key,
            locked_for_seconds: left.as_secs().max(1),
        });
        Self {
            accounts: accounts.collect(),
            access_keys: access_keys.collect(),
            unknown_names: locks.unknown,
        }
    }
}
