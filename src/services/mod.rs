//! What the gateway can do for people: accounts, passwords, sessions, invitations, lockout, the record.
//!
//! Services know the model and the store; they never know HTTP. The pages, the signature schemes and the
//! administrator's commands are all callers of the same few functions, so that no path has rules of its own.
#![allow(
    clippy::todo,
    clippy::unused_async,
    clippy::unused_self,
    clippy::needless_pass_by_value
)]

mod accounts;
mod address_limit;
mod audit;
mod hasher;
mod invitations;
mod lockout;
mod password_policy;
mod session_cookie;
mod sessions;
mod sign_in;
mod sign_up;

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::random::Random;
use crate::store::{Store, StoreError};

pub use accounts::{AccountChange, AccountError, Accounts, NewAccount, NewPassword};
pub use audit::{Audit, AuditError, Event, Kind, Origin, Outcome};
pub use hasher::{Busy, Hasher, Place, Verdict};
pub use invitations::Invitations;
pub use password_policy::{PasswordPolicy, PasswordRule};
pub use session_cookie::{Presented, SessionCookie};
pub use sessions::{LiveSession, SessionInfo, Sessions};
pub use sign_in::{SignIn, SignInError, SignedIn};
pub use sign_up::{FieldError, SignUp, SignUpError, SignUpField, SignUpForm, SignUpNext};

/// All services, made once from the configuration and shared.
#[derive(Clone, Debug)]
pub struct Services {
    /// Accounts, as an administrator handles them.
    pub accounts: Arc<Accounts>,
    /// Invitations.
    pub invitations: Arc<Invitations>,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Signing in with a password.
    pub sign_in: Arc<SignIn>,
    /// Making an account.
    pub sign_up: Arc<SignUp>,
    /// The record of authentication events.
    pub audit: Arc<Audit>,
    /// What a new password must be.
    pub password_policy: Arc<PasswordPolicy>,
    /// The cookie that carries a session.
    pub session_cookie: Arc<SessionCookie>,
}

impl Services {
    /// Makes them all over one store.
    pub async fn new(
        _config: &Config,
        _store: Arc<dyn Store>,
        _clock: Clock,
        _random: Random,
    ) -> Result<Self, ServicesError> {
        todo!()
    }
}

/// Why the services cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record cannot be opened.
    #[error("the audit record cannot be opened: {0}")]
    Audit(std::io::Error),
}
