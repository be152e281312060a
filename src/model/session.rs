//! A session.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{SignInMethod, TokenDigest};
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
    /// When they signed in.
    pub created_at: Timestamp,
    /// When it was last used, to the half minute.
    pub last_seen_at: Timestamp,
    /// When its owner last proved to know the password; never, if they signed in some other way.
    pub proved_at: Option<Timestamp>,
    /// From where they signed in.
    pub address: IpAddr,
    /// What their browser called itself, at most 256 characters.
    pub user_agent: String,
}
