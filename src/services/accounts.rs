//! Accounts, as an administrator handles them.

use std::collections::BTreeSet;

use super::{Origin, PasswordRule};
use crate::ids::AccountId;
use crate::model::{Account, Email, Username};
use crate::secret::Secret;
use crate::store::StoreError;

/// An account to add: verified and approved.
#[derive(Debug)]
pub struct NewAccount {
    /// The address.
    pub email: Email,
    /// The username; the local part of the address if none.
    pub username: Option<Username>,
    /// The name.
    pub name: Option<String>,
    /// The groups.
    pub groups: BTreeSet<String>,
    /// The password.
    pub password: NewPassword,
}

/// Where a new password comes from.
#[derive(Debug)]
pub enum NewPassword {
    /// In the clear; must pass the policy.
    Plain(Secret<String>),
    /// A bcrypt hash from elsewhere (`$2a$`, `$2b$`, `$2y$`), kept as it is.
    Hash(String),
}

/// A change of an account.
#[derive(Debug)]
pub enum AccountChange {
    /// Lets it in.
    Approve,
    /// Does not let it in.
    Decline,
    /// Shuts it out and ends its sessions.
    Disable,
    /// Lets it in again.
    Enable,
    /// Lifts its lock.
    Unlock,
    /// Replaces its groups.
    SetGroups(BTreeSet<String>),
    /// Replaces its password and ends its sessions.
    SetPassword(NewPassword),
}

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
    /// A group's name with a comma or a control character, or none at all.
    #[error("{0:?} cannot be a group's name: it is empty, or has a comma or a control character")]
    GroupName(String),
    /// The password breaks rules.
    #[error("the password is refused: {0:?}")]
    Password(Vec<PasswordRule>),
    /// Not a bcrypt hash.
    #[error("not a bcrypt hash ($2a$, $2b$ or $2y$)")]
    NotAHash,
    /// The last administrator.
    #[error("it is the last active member of the administrators' group")]
    LastAdministrator,
    /// Somebody else changed the account at the same moment, more than once.
    #[error("the account was changed by somebody else at the same moment; try again")]
    Contended,
    /// Too many passwords are being hashed.
    #[error("too many passwords are being hashed; try again")]
    Busy,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The service.
#[derive(Debug)]
pub struct Accounts {}

impl Accounts {
    /// Adds an account. `by` names who does it, for the record.
    pub async fn add(&self, _new: NewAccount, _by: &str, _origin: &Origin) -> Result<Account, AccountError> {
        todo!()
    }

    /// The account with this address, username or id.
    pub async fn find(&self, _name: &str) -> Result<Account, AccountError> {
        todo!()
    }

    /// Up to `limit` accounts in the order they were made, from the one after `after`.
    pub async fn list(&self, _after: Option<AccountId>, _limit: usize) -> Result<Vec<Account>, AccountError> {
        todo!()
    }

    /// Changes an account.
    pub async fn change(
        &self,
        _name: &str,
        _change: AccountChange,
        _by: &str,
        _origin: &Origin,
    ) -> Result<Account, AccountError> {
        todo!()
    }

    /// Deletes an account; its username stays taken.
    pub async fn delete(&self, _name: &str, _by: &str, _origin: &Origin) -> Result<Account, AccountError> {
        todo!()
    }

    /// Whether the administrators' group has a member.
    pub async fn has_administrator(&self) -> Result<bool, StoreError> {
        todo!()
    }
}
