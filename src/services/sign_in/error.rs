//! Errors of signing in.

use std::time::Duration;

use crate::services::Busy;
use crate::services::sign_in_policy::Ineligible;
use crate::store::StoreError;

/// Why a sign-in was refused.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown name or wrong password; the two are not told apart.
    #[error("wrong name or password")]
    InvalidCredentials,
    /// The password is right, but the address is not verified.
    #[error("the address is not verified")]
    NotVerified,
    /// The password is right, but an administrator has not approved the account, or declined it.
    #[error("the account is not approved")]
    NotApproved,
    /// The password or key is right, but the current terms were not accepted.
    #[error("the terms must be agreed to")]
    MustAgree,
    /// The password is right, but the account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// Too many failures for this name. Holds the time left.
    #[error("locked for {0:?}")]
    Locked(Duration),
    /// Too many failures from this address. Holds the time to wait.
    #[error("too many failures from one address")]
    RateLimited(Duration),
    /// The queue of the password hasher is full.
    #[error("too many passwords are being checked")]
    Busy,
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event could not be recorded where the audit log is required.
    #[error("the event could not be recorded")]
    Unrecorded,
}

impl SignInError {
    /// The reason in the audit log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidCredentials => "invalid-credentials",
            Self::NotVerified => "not-verified",
            Self::NotApproved => "not-approved",
            Self::MustAgree => "must-agree",
            Self::Disabled => "account-disabled",
            Self::Locked(_) => "locked",
            Self::RateLimited(_) => "rate-limited",
            Self::Busy | Self::Store(_) | Self::Unrecorded => "unavailable",
        }
    }
}

impl From<Busy> for SignInError {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

impl From<Ineligible> for SignInError {
    fn from(why: Ineligible) -> Self {
        match why {
            Ineligible::NotVerified => Self::NotVerified,
            Ineligible::NotApproved => Self::NotApproved,
            Ineligible::Disabled => Self::Disabled,
        }
    }
}
