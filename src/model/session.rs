//! Sessions: what the store keeps of a sign-in.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccessKeyId, SignInMethod, TokenDigest};
use crate::ids::{AccountId, SessionId};

/// A session as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The public id, which `{session}` forwards.
    pub id: SessionId,
    /// The digest of the token.
    pub digest: TokenDigest,
    /// The account.
    pub account: AccountId,
    /// How its owner signed in.
    pub method: SignInMethod,
    /// The access key that began it, with [`SignInMethod::Iam`]; `None` if that was not kept.
    pub access_key: Option<AccessKeyId>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the half minute.
    pub last_seen_at: Timestamp,
    /// When its owner last proved the password; `None` if they never did.
    pub proved_at: Option<Timestamp>,
    /// The version of the password that the owner proved at the start or since: the time when that password
    /// was set, compared for equality, so that clocks do not matter. `None` if that was not kept.
    pub password_changed_at: Option<Timestamp>,
    /// The address of the sign-in.
    pub address: IpAddr,
    /// The `User-Agent` of the sign-in, at most 256 characters.
    pub user_agent: String,
}

impl Session {
    /// Returns whether an access key began it.
    pub fn is_of_key(&self) -> bool {
        self.method == SignInMethod::Iam || self.access_key.is_some()
    }

    /// Returns whether the session ends with this key of its account. One that was begun with an unknown key
    /// ends with any.
    pub fn ends_with(&self, key: AccessKeyId) -> bool {
        self.is_of_key() && self.access_key.is_none_or(|began| began == key)
    }
}
