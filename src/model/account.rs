//! Accounts: who may sign in, an account's status, pending change of address and agreements.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Email, Username};
use crate::ids::{AccountId, MailId};

/// A person's account, whatever its status.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The id; never changes.
    pub id: AccountId,
    /// The username. A username is never given to another account, not even after a deletion or a change
    /// (S53).
    pub username: Username,
    /// Usernames that the account had before and does not have now, oldest first. Maintained by the store.
    pub former_usernames: Vec<Username>,
    /// The address, unique among accounts.
    pub email: Email,
    /// Whether the address is verified, by a mailed link or by an administrator.
    pub email_verified: bool,
    /// The address that the account moves to once that is confirmed. Cancelled by the owner, and by a new
    /// password or address.
    pub pending_email: Option<PendingEmail>,
    /// The display name; the username is shown if `None`.
    pub name: Option<String>,
    /// The groups; no name of a group has a comma.
    pub groups: BTreeSet<String>,
    /// The password's bcrypt hash, in one of the contract's stored forms. Confidential, though it does not
    /// sign in by itself.
    pub password_hash: String,
    /// Whether administrators let the account sign in.
    pub status: AccountStatus,
    /// The last decision of an administrator on the status, if any.
    pub decision: Option<Decision>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the password was last set. Serves as the password's version.
    pub password_changed_at: Timestamp,
    /// The terms that the owner agreed to, oldest first.
    pub agreements: Vec<Agreement>,
    /// The language of mails (BCP 47): that of the signup, or the owner's choice. Pages follow the browser
    /// instead.
    pub language: Option<String>,
    /// When its owner last signed in, if ever. The store keeps it, with the session that begins.
    pub last_sign_in_at: Option<Timestamp>,
}

impl Account {
    /// Makes an active account without groups, created at `created_at`; all optional fields are empty.
    pub fn new(
        id: AccountId,
        username: Username,
        email: Email,
        password_hash: String,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            username,
            former_usernames: Vec::new(),
            email,
            email_verified: false,
            pending_email: None,
            name: None,
            groups: BTreeSet::new(),
            password_hash,
            status: AccountStatus::Active,
            decision: None,
            created_at,
            password_changed_at: created_at,
            agreements: Vec::new(),
            language: None,
            last_sign_in_at: None,
        }
    }

    /// When its owner last signed in; when it was made, if they never did.
    pub fn last_active_at(&self) -> Timestamp {
        self.last_sign_in_at.unwrap_or(self.created_at)
    }

    /// Returns whether the account is in the group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.contains(group)
    }
}

/// Leaves out the password hash, since `Debug` output ends in logs.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("username", &self.username)
            .field("email", &self.email)
            .field("groups", &self.groups)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A requested change of address that is not confirmed yet. An account has one at most, the latest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingEmail {
    /// The new address.
    pub email: Email,
    /// When it was requested.
    pub since: Timestamp,
    /// The mail that carries the confirmation link; no other mail may carry one.
    pub mail: MailId,
}

named_enum! {
    /// An account's status, set by administrators.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    AccountStatus {
        /// Waits for an administrator's approval.
        AwaitingApproval = "awaiting-approval",
        /// May sign in.
        Active = "active",
        /// An administrator disabled the account.
        Disabled = "disabled",
        /// An administrator declined the account.
        Declined = "declined",
    }
}

impl FromStr for AccountStatus {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let known = Self::ALL.iter().copied().find(|status| status.as_str() == text);
        known.ok_or(StatusError)
    }
}

/// The error for a text that names no status; lists the valid names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("awaiting-approval, active, disabled or declined")]
pub struct StatusError;

/// An administrator's decision on an account's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The administrator, as the audit log names them.
    pub by: String,
    /// When it was made.
    pub at: Timestamp,
    /// The administrator's reason. Shown to administrators only.
    pub reason: Option<String>,
}

/// The owner's consent to the terms and the privacy notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// `signup.terms_version` at the time.
    pub version: String,
    /// When it was given.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_one_name_everywhere() {
        for status in AccountStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.as_str().parse(), Ok(*status));
            assert!(StatusError.to_string().contains(status.as_str()));
        }
        assert_eq!("nonsense".parse::<AccountStatus>(), Err(StatusError));
    }
}
