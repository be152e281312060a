//! Operations on sessions.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{LoadedRows, StoreError};
use crate::ids::{AccountId, SessionId};
use crate::model::{AccessKeyId, Session, TokenDigest};

/// Sessions: a part of [`Store`](super::Store).
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Stores a session, and ends the one that the sign-in replaces.
    ///
    /// Refused if the account is gone or not active, or the access key that began the session is gone or
    /// disabled: their sessions were ended during this sign-in, and it must not outlive that.
    async fn put_session(
        &self,
        session: Session,
        replaces: Option<TokenDigest>,
    ) -> Result<PutSession, StoreError>;

    /// Loads all sessions; read once, at start.
    async fn load_sessions(&self) -> Result<LoadedRows<Session>, StoreError>;

    /// All sessions; fails if one of them is unreadable.
    async fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        self.load_sessions().await?.require_sound()
    }

    /// Records when sessions were last used, ignoring those that are gone.
    async fn touch_sessions(&self, seen: Vec<(TokenDigest, Timestamp)>) -> Result<(), StoreError>;

    /// Records a re-authentication: its time and the version of the password. Does nothing if the session is
    /// gone.
    async fn mark_reauthenticated(
        &self,
        digest: TokenDigest,
        at: Timestamp,
        password_changed_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Ends sessions. Returns how many.
    async fn end_sessions(&self, which: SessionsToEnd) -> Result<usize, StoreError>;
}

/// The outcome of [`SessionStore::put_session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutSession {
    /// The session is stored.
    Kept,
    /// The account, or the access key, may not sign in any more; nothing was changed.
    ShutOut,
}

/// The sessions that [`SessionStore::end_sessions`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionsToEnd {
    /// The session with this token.
    Token(TokenDigest),
    /// The session with this id.
    Id(SessionId),
    /// All sessions of an account, except one if given.
    Account(AccountId, Option<TokenDigest>),
    /// The sessions of an account that end with this access key.
    AccessKey(AccountId, AccessKeyId),
    /// All sessions.
    All,
}
