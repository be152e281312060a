//! A principal: who a request comes from, once that is proven.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Account, Email, Username};
use crate::ids::{AccountId, SessionId};

/// Somebody who proved who they are, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Their account.
    pub account: AccountId,
    /// Their username.
    pub username: Username,
    /// Their address.
    pub email: Email,
    /// Whether the address is proven to be theirs.
    pub email_verified: bool,
    /// Their name; the username where they did not say.
    pub name: String,
    /// Their groups.
    pub groups: BTreeSet<String>,
    /// How they proved it.
    pub method: SignInMethod,
    /// The session that proved it, if one did.
    pub session: Option<SessionId>,
    /// The latest moment at which the proof ends; a session that is not used ends before it.
    pub expires_at: Timestamp,
}

impl Principal {
    /// The principal that an account is, when proven by `method`.
    pub fn of(
        account: &Account,
        method: SignInMethod,
        session: Option<SessionId>,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            account: account.id,
            username: account.username.clone(),
            email: account.email.clone(),
            email_verified: account.email_verified,
            name: account
                .name
                .clone()
                .unwrap_or_else(|| account.username.to_string()),
            groups: account.groups.clone(),
            method,
            session,
            expires_at,
        }
    }
}

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignInMethod {
    /// E-mail address or username, and password.
    Password,
    /// An access key.
    Iam,
}

impl SignInMethod {
    /// Its name in `{method}` and in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Iam => "iam",
        }
    }
}
