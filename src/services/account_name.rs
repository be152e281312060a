//! What an account is called.

use crate::ids::AccountId;
use crate::model::{Account, Email, Principal, Username};

/// An account by all of its names: what it takes to shut it out, even where the store cannot be asked for the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountName {
    /// Its id.
    pub id: AccountId,
    /// Its address.
    pub email: Email,
    /// Its username.
    pub username: Username,
}

/// What somebody typed to name an account: an address, a username or an id.
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

    /// Whether it names this account.
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
