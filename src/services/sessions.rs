//! Sessions: in memory for every request, in the store for a restart.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::SessionConfig;
use crate::ids::{AccountId, SessionId};
use crate::model::{Account, PlainToken, Principal, Session, SignInMethod, TokenDigest};
use crate::random::Random;
use crate::store::{SessionsToEnd, Store, StoreError};

/// A session that lasts.
#[derive(Debug)]
pub struct LiveSession {}

impl LiveSession {
    /// Who signed in, as they are now.
    pub fn principal(&self) -> Arc<Principal> {
        todo!()
    }

    /// Its public name.
    pub fn id(&self) -> SessionId {
        todo!()
    }

    /// What is known of its token.
    pub fn digest(&self) -> TokenDigest {
        todo!()
    }

    /// Ends with the session, whatever ends it, expiry included: what a stream or an upgraded connection waits for.
    pub fn ended(&self) -> CancellationToken {
        todo!()
    }
}

/// A session, for a list.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SessionInfo {
    /// What the store knows of it, as last seen.
    #[serde(flatten)]
    pub session: Session,
    /// Whose it is.
    pub email: String,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {}

impl Sessions {
    /// Reads them from the store.
    pub async fn load(
        _store: Arc<dyn Store>,
        _config: &SessionConfig,
        _clock: Clock,
        _random: Random,
    ) -> Result<Self, StoreError> {
        todo!()
    }

    /// The live session with this token, marked as used. No lock, no store.
    pub fn find(&self, _digest: &TokenDigest) -> Option<Arc<LiveSession>> {
        todo!()
    }

    /// The same, not marked as used.
    pub fn peek(&self, _digest: &TokenDigest) -> Option<Arc<LiveSession>> {
        todo!()
    }

    /// Begins one, in place of the one that came with the sign-in.
    pub async fn begin(
        &self,
        _account: &Account,
        _method: SignInMethod,
        _address: IpAddr,
        _user_agent: &str,
        _replaces: Option<TokenDigest>,
    ) -> Result<(PlainToken, Arc<LiveSession>), StoreError> {
        todo!()
    }

    /// Ends them: at once in memory, then in the store. How many there were.
    pub async fn end(&self, _which: SessionsToEnd) -> Result<usize, StoreError> {
        todo!()
    }

    /// Gives the sessions of an account its new groups, names and address.
    pub fn refresh(&self, _account: &Account) {
        todo!()
    }

    /// Those of an account, or all; newest first.
    pub fn list(&self, _account: Option<AccountId>) -> Vec<SessionInfo> {
        todo!()
    }

    /// Writes back when sessions were used, and ends those whose time is over, until `stop`.
    pub async fn keep(&self, _stop: CancellationToken) {
        todo!()
    }
}
