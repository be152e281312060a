//! Signing in with a name and a password.

use std::sync::Arc;
use std::time::Duration;

use super::{LiveSession, Origin};
use crate::model::{Account, PlainToken, TokenDigest};
use crate::secret::Secret;
use crate::store::StoreError;

/// Somebody signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub account: Account,
    /// What goes into the cookie.
    pub token: PlainToken,
    /// The session.
    pub session: Arc<LiveSession>,
}

/// Why somebody could not sign in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Wrong name or password, all alike.
    #[error("wrong name or password")]
    InvalidCredentials,
    /// The right password; the address is not verified.
    #[error("the address is not verified")]
    NotVerified,
    /// The right password; an administrator has not approved, or declined.
    #[error("the account is not approved")]
    NotApproved,
    /// The right password; the account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// Too many failures for this name.
    #[error("locked for {0:?}")]
    Locked(Duration),
    /// Too many failures from this address.
    #[error("too many failures from one address")]
    RateLimited(Duration),
    /// Too many passwords are being checked.
    #[error("too many passwords are being checked")]
    Busy,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event could not be recorded, and must be.
    #[error("the event could not be recorded")]
    Unrecorded,
}

/// The service.
#[derive(Debug)]
pub struct SignIn {}

impl SignIn {
    /// Signs in. `login` is an e-mail address, or a username where `login.username`.
    pub async fn with_password(
        &self,
        _login: &str,
        _password: &Secret<String>,
        _origin: &Origin,
        _replaces: Option<TokenDigest>,
    ) -> Result<SignedIn, SignInError> {
        todo!()
    }

    /// Signs out.
    pub async fn sign_out(&self, _session: &LiveSession, _origin: &Origin) -> Result<(), SignInError> {
        todo!()
    }
}
