//! An account.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Email, Username};
use crate::ids::{AccountId, MailId};

/// A person who may sign in, or will, or once could.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// For ever.
    pub id: AccountId,
    /// For ever its own: never given to another account, even after deletion or a change.
    pub username: Username,
    /// The usernames that it had before and does not have now, by age. The store keeps them.
    pub former_usernames: Vec<Username>,
    /// The address, unique among accounts.
    pub email: Email,
    /// Whether a mailed link proved that the address is theirs, or an administrator said so.
    pub email_verified: bool,
    /// The address that it moves to once that is confirmed. A new password or address takes it back; so may its owner.
    pub pending_email: Option<PendingEmail>,
    /// What to call them; the username where they did not say.
    pub name: Option<String>,
    /// Groups, none of which has a comma in its name.
    pub groups: BTreeSet<String>,
    /// bcrypt in one of the contract's stored forms. Not a secret that signs in, but not for eyes either.
    pub password_hash: String,
    /// Whether an administrator lets them in.
    pub status: AccountStatus,
    /// What an administrator last decided about that, if one did.
    pub decision: Option<Decision>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the password was last set.
    pub password_changed_at: Timestamp,
    /// The terms that they agreed to, oldest first.
    pub agreements: Vec<Agreement>,
    /// The language to write to them in (BCP 47): that of their signup, or the one they chose. Pages go by the browser.
    pub language: Option<String>,
    /// When its owner last signed in, if ever. The store keeps it, with the session that begins.
    pub last_sign_in_at: Option<Timestamp>,
}

impl Account {
    /// An account that is made at this moment: active, in no group, and nothing known of its owner.
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

    /// Whether they are in the group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.contains(group)
    }
}

/// Without the hash: it is not for eyes, and what is logged is read.
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

/// A change of the address that was asked for and is not confirmed: one an account, the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingEmail {
    /// The address that it moves to.
    pub email: Email,
    /// When it was asked for.
    pub since: Timestamp,
    /// The mail that carries the link: no other may.
    pub mail: MailId,
}

named_enum! {
    /// Where an account stands with the administrators.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    AccountStatus {
        /// Waits for an administrator's approval.
        AwaitingApproval = "awaiting-approval",
        /// May sign in.
        Active = "active",
        /// Was disabled.
        Disabled = "disabled",
        /// Was declined.
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

/// A text that names no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("awaiting-approval, active, disabled or declined")]
pub struct StatusError;

/// What an administrator decided about an account's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who decided, by the name that the record has for them.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, in their words. Administrators read it, not the account's owner.
    pub reason: Option<String>,
}

/// That somebody agreed to the terms and the privacy notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// `signup.terms_version` at that time.
    pub version: String,
    /// When.
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
