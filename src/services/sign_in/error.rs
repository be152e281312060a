//! Why somebody could not sign in.

use std::time::Duration;

use crate::services::Busy;
use crate::services::sign_in_policy::Ineligible;
use crate::store::StoreError;

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
    /// The right password or key; the terms are others than were agreed to.
    #[error("the terms must be agreed to")]
    MustAgree,
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

impl SignInError {
    /// Its name in the record.
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
