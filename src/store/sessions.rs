//! Sessions.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{LoadedRows, StoreError};
use crate::ids::{AccountId, SessionId};
use crate::model::{AccessKeyId, Session, TokenDigest};

/// Sessions: a part of every [`Store`](super::Store).
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Keeps a session, ends the one that the sign-in replaces, and notes the sign-in on the account
    /// ([`last_sign_in_at`](crate::model::Account::last_sign_in_at), never back in time), in one step.
    ///
    /// Not if the account is gone or not active, or the access key that it was begun with is gone or switched off: that
    /// came about while somebody signed in, and those sessions were ended then.
    async fn put_session(
        &self,
        session: Session,
        replaces: Option<TokenDigest>,
    ) -> Result<PutSession, StoreError>;

    /// Every session that is kept: read once, at start.
    async fn load_sessions(&self) -> Result<LoadedRows<Session>, StoreError>;

    /// The same; an error if any cannot be read.
    async fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        self.load_sessions().await?.require_sound()
    }

    /// Notes when sessions were last used. Those that are gone stay gone.
    async fn touch_sessions(&self, seen: Vec<(TokenDigest, Timestamp)>) -> Result<(), StoreError>;

    /// Notes when the owner of a session proved to know the password, and which, by when that was set. A session that is
    /// gone stays gone.
    async fn mark_reauthenticated(
        &self,
        digest: TokenDigest,
        at: Timestamp,
        password_changed_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Ends sessions. How many there were.
    async fn end_sessions(&self, which: SessionsToEnd) -> Result<usize, StoreError>;
}

/// What became of [`SessionStore::put_session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutSession {
    /// It is kept.
    Kept,
    /// Its account, or its access key, may not sign in any more; nothing was changed.
    ShutOut,
}

/// Which sessions [`SessionStore::end_sessions`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionsToEnd {
    /// The one with this token.
    Token(TokenDigest),
    /// The one with this public name.
    Id(SessionId),
    /// All of an account, except perhaps one.
    Account(AccountId, Option<TokenDigest>),
    /// Those of an account that end with this access key.
    AccessKey(AccountId, AccessKeyId),
    /// All.
    All,
}
