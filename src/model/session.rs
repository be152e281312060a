//! A session.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccessKeyId, SignInMethod, TokenDigest};
use crate::ids::{AccountId, SessionId};

/// One sign-in that lasts, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its public name; what `{session}` forwards.
    pub id: SessionId,
    /// What the store knows of its token.
    pub digest: TokenDigest,
    /// Whose it is.
    pub account: AccountId,
    /// How they signed in.
    pub method: SignInMethod,
    /// The access key that it was begun with, with [`SignInMethod::Iam`]; none if that was not kept.
    pub access_key: Option<AccessKeyId>,
    /// When they signed in.
    pub created_at: Timestamp,
    /// When it was last used, to the half minute.
    pub last_seen_at: Timestamp,
    /// When its owner last proved to know the password; never, if they signed in some other way.
    pub proved_at: Option<Timestamp>,
    /// The password that the account had when it began, or that its owner proved to know since, by when that was set: a
    /// version, which no clock makes older or newer. None if that was not kept.
    pub password_changed_at: Option<Timestamp>,
    /// From where they signed in.
    pub address: IpAddr,
    /// What their browser called itself, at most 256 characters.
    pub user_agent: String,
}

impl Session {
    /// Whether it was begun with an access key.
    pub fn is_of_key(&self) -> bool {
        self.method == SignInMethod::Iam || self.access_key.is_some()
    }

    /// Whether it ends with this access key, which is its account's. One that was begun with a key that was not kept ends
    /// with any.
    pub fn ends_with(&self, key: AccessKeyId) -> bool {
        self.is_of_key() && self.access_key.is_none_or(|began| began == key)
    }
}
