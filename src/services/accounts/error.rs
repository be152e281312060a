//! Why nothing was done to an account.

use super::{AccountPart, MOST_GROUPS};
use crate::model::{Account, AccountStatus, Email, EmailError, PasswordError};
use crate::services::{AuditError, Busy, DisplayNameError, MOST_FORMER_USERNAMES, PasswordRule};
use crate::store::StoreError;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such account.
    #[error("there is no account {0}")]
    NotFound(String),
    /// Another account has the address.
    #[error("another account has the address {0}")]
    EmailTaken(Email),
    /// An account has the username, or once had it.
    #[error("the username {0} is taken; usernames are never given twice")]
    UsernameTaken(String),
    /// Nobody can have the username.
    #[error("the username {0} is reserved")]
    UsernameReserved(String),
    /// No username can be made of the address.
    #[error("no username can be made of {0}; choose one with --username")]
    NoUsername(Email),
    /// Nobody can be called that.
    #[error(transparent)]
    Name(#[from] DisplayNameError),
    /// A group's name with a comma or a control character, or none at all.
    #[error(
        "{0:?} cannot be a group's name: it is empty, or has a comma or a control character, or too many of any"
    )]
    GroupName(String),
    /// More groups than one account may be in.
    #[error("there are more than {MOST_GROUPS} groups")]
    TooManyGroups,
    /// What should say which language somebody reads.
    #[error("its language is no language tag such as \"ko\"")]
    Language,
    /// A name, or a group's, that is empty or has blanks around it.
    #[error("its name, or that of a group, is empty or has blanks around it")]
    Untrimmed,
    /// More former usernames than an account may have.
    #[error("it has more than {MOST_FORMER_USERNAMES} former usernames")]
    FormerUsernames,
    /// The password breaks rules.
    #[error("the password is refused: {0:?}")]
    Password(Vec<PasswordRule>),
    /// The password cannot be one at all.
    #[error(transparent)]
    PasswordUnusable(#[from] PasswordError),
    /// Not a bcrypt hash, or one that takes too long to compare with.
    #[error("not a bcrypt hash ($2a$, $2b$ or $2y$, with a cost of 4 to 16)")]
    NotAHash,
    /// A line of a file that is not `name:hash`.
    #[error("not a line of the form name:hash")]
    NotALine,
    /// A name in a file of which no address can be made.
    #[error("no e-mail address can be made of {0:?}: {1}")]
    Email(String, EmailError),
    /// A name in a file that is no address, and no domain to make one with.
    #[error("{0:?} is no e-mail address; --domain example.com makes one of it")]
    NoAddress(String),
    /// It stands where there is nothing of the kind to decide.
    #[error("{email} {status}", email = .0, status = status_text(*.1))]
    Status(Email, AccountStatus),
    /// The last administrator.
    #[error("it is the last active member of the administrators' group")]
    LastAdministrator,
    /// These parts of it are not what the decision was made from.
    #[error("the account was changed meanwhile: {parts}", parts = named(.0))]
    Stale(Vec<AccountPart>, Box<Account>),
    /// Too many passwords are being hashed.
    #[error("too many passwords are being hashed; try again")]
    Busy,
    /// It was done, and cannot be recorded where the audit log is required.
    #[error("the sessions are ended, but {0}")]
    Unrecorded(#[from] AuditError),
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Busy> for AccountError {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

/// Parts of an account in words.
fn named(parts: &[AccountPart]) -> String {
    let names: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
    names.join(", ")
}

/// What an account is, and what can be decided about it.
fn status_text(status: AccountStatus) -> &'static str {
    match status {
        AccountStatus::Active => "is active: it can be disabled",
        AccountStatus::AwaitingApproval => "waits for approval: approve or decline it",
        AccountStatus::Declined => "is declined and cannot sign in: it can be approved",
        AccountStatus::Disabled => "is disabled and cannot sign in: it can be enabled",
    }
}
