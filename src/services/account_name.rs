//! The names of an account: id, address, username.

use crate::ids::AccountId;
use crate::model::{Account, Email, Principal, Username};

/// All names of an account: enough to revoke its access even where the store cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountName {
    /// Its id.
    pub id: AccountId,
    /// Its address.
    pub email: Email,
    /// Its username.
    pub username: Username,
}

/// Typed input that names an account: an address, a username or an id.
pub(super) struct TypedName {
    email: Option<Email>,
    id: Option<AccountId>,
    username: Option<Username>,
}

impl TypedName {
    pub(super) fn of(typed: &str) -> Self {
        Self {
            email: typed.parse().ok(),
            id: typed.parse().ok(),
            username: typed.parse().ok(),
        }
    }

    /// Returns whether it names this account.
    pub(super) fn fits(&self, account: &AccountName) -> bool {
        self.email.as_ref() == Some(&account.email)
            || self.id == Some(account.id)
            || self.username.as_ref() == Some(&account.username)
    }
}

impl From<&Account> for AccountName {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id,
            email: account.email.clone(),
            username: account.username.clone(),
        }
    }
}

impl From<&Principal> for AccountName {
    fn from(principal: &Principal) -> Self {
        Self {
            id: principal.account,
            email: principal.email.clone(),
            username: principal.username.clone(),
        }
    }
}
