//! Errors of account administration.

use super::{AccountPart, MOST_GROUPS};
use crate::model::{Account, AccountStatus, Email, EmailError, PasswordError};
use crate::services::{AuditError, Busy, DisplayNameError, MOST_FORMER_USERNAMES, PasswordRule};
use crate::store::StoreError;

/// Why an account was not created or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such account.
    #[error("there is no account {0}")]
    NotFound(String),
    /// Another account has the address.
    #[error("another account has the address {0}")]
    EmailTaken(Email),
    /// An account has the username, or had it.
    #[error("the username {0} is taken; usernames are never given twice")]
    UsernameTaken(String),
    /// The username is reserved.
    #[error("the username {0} is reserved")]
    UsernameReserved(String),
    /// No username can be made from the address.
    #[error("no username can be made of {0}; choose one with --username")]
    NoUsername(Email),
    /// The display name is invalid.
    #[error(transparent)]
    Name(#[from] DisplayNameError),
    /// A group name that is empty, too long, or has a comma or a control character.
    #[error(
        "{0:?} cannot be a group's name: it is empty, or has a comma or a control character, or too many of any"
    )]
    GroupName(String),
    /// More than `MOST_GROUPS` groups.
    #[error("there are more than {MOST_GROUPS} groups")]
    TooManyGroups,
    /// An imported account's language is no BCP 47 tag.
    #[error("its language is no language tag such as \"ko\"")]
    Language,
    /// An imported display or group name is empty or has surrounding blanks.
    #[error("its name, or that of a group, is empty or has blanks around it")]
    Untrimmed,
    /// An imported account has more former usernames than allowed.
    #[error("it has more than {MOST_FORMER_USERNAMES} former usernames")]
    FormerUsernames,
    /// The password breaks these rules of the policy.
    #[error("the password is refused: {0:?}")]
    Password(Vec<PasswordRule>),
    /// The text cannot be a password at all.
    #[error(transparent)]
    PasswordUnusable(#[from] PasswordError),
    /// Not a bcrypt hash, or one whose cost is out of range.
    #[error("not a bcrypt hash ($2a$, $2b$ or $2y$, with a cost of 4 to 16)")]
    NotAHash,
    /// A line of an htpasswd file that is not `name:hash`.
    #[error("not a line of the form name:hash")]
    NotALine,
    /// A name in an htpasswd file that makes no address.
    #[error("no e-mail address can be made of {0:?}: {1}")]
    Email(String, EmailError),
    /// A name in a file that is no address, and no domain to make one with.
    #[error("{0:?} is no e-mail address; --domain example.com makes one of it")]
    NoAddress(String),
    /// The transition is not possible from this status.
    #[error("{email} {status}", email = .0, status = status_text(*.1))]
    Status(Email, AccountStatus),
    /// It is the last active administrator.
    #[error("it is the last active member of the administrators' group")]
    LastAdministrator,
    /// These parts differ from the version that the decision was made from; holds the account as it is.
    #[error("the account was changed meanwhile: {parts}", parts = named(.0))]
    Stale(Vec<AccountPart>, Box<Account>),
    /// The queue of the password hasher is full.
    #[error("too many passwords are being hashed; try again")]
    Busy,
    /// The sessions are ended, but the event could not be recorded where the audit log is required.
    #[error("the sessions are ended, but {0}")]
    Unrecorded(#[from] AuditError),
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Busy> for AccountError {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

/// Joins the names of parts with commas.
fn named(parts: &[AccountPart]) -> String {
    let names: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
    names.join(", ")
}

/// Describes a status, and the decisions that are possible from it.
fn status_text(status: AccountStatus) -> &'static str {
    match status {
        AccountStatus::Active => "is active: it can be disabled",
        AccountStatus::AwaitingApproval => "waits for approval: approve or decline it",
        AccountStatus::Declined => "is declined and cannot sign in: it can be approved",
        AccountStatus::Disabled => "is disabled and cannot sign in: it can be enabled",
    }
}
