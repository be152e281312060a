//! Principals: the authenticated identity that a request is made for.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Account, Email, Username};
use crate::ids::{AccountId, SessionId};

/// An authenticated identity, and how it was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The account.
    pub account: AccountId,
    /// The username.
    pub username: Username,
    /// Usernames that the account had before; no other account is given one.
    pub former_usernames: Vec<Username>,
    /// The address.
    pub email: Email,
    /// Whether the address is verified.
    pub email_verified: bool,
    /// The display name; the username if the account has none.
    pub name: String,
    /// The groups.
    pub groups: BTreeSet<String>,
    /// The sign-in method.
    pub method: SignInMethod,
    /// The session; `None` if it was proved in another way.
    pub session: Option<SessionId>,
    /// The latest end of the proof; an idle session ends earlier.
    pub expires_at: Timestamp,
}

impl Principal {
    /// Makes the principal of an account that was authenticated by `method`.
    pub fn of(
        account: &Account,
        method: SignInMethod,
        session: Option<SessionId>,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            account: account.id,
            username: account.username.clone(),
            former_usernames: account.former_usernames.clone(),
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

/// How a principal was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignInMethod {
    /// E-mail address or username, and password.
    Password,
    /// An access key.
    Iam,
}

impl SignInMethod {
    /// The name in `{method}` and in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Iam => "iam",
        }
    }
}
