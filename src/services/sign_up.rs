//! Making an account for oneself.

use std::time::Duration;

use super::{Origin, PasswordRule};
use crate::config::SignupMode;
use crate::model::{Account, Invitation};
use crate::secret::Secret;
use crate::store::StoreError;

/// What somebody filled in.
#[derive(Debug)]
pub struct SignUpForm {
    /// The address.
    pub email: String,
    /// The username.
    pub username: String,
    /// The password.
    pub password: Secret<String>,
    /// The password again.
    pub password_confirm: Secret<String>,
    /// The token of an invitation.
    pub invitation: Option<String>,
    /// Whether they agreed to the terms.
    pub agree: bool,
}

/// What comes next for a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SignUpNext {
    /// Signing in.
    Login,
    /// Opening the mailed link.
    Verify,
    /// Waiting for an administrator.
    Approval,
}

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignUpField {
    /// `email`
    Email,
    /// `username`
    Username,
    /// `password`
    Password,
    /// `password_confirm`
    PasswordConfirm,
    /// `invitation`
    Invitation,
    /// `agree`
    Agree,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// Nothing was filled in.
    Required,
    /// Not an address.
    EmailMalformed,
    /// Over 254 characters.
    EmailTooLong,
    /// Another account has it.
    EmailTaken,
    /// Under 2 or over 64 characters.
    UsernameLength,
    /// A character that it cannot have.
    UsernameCharacters,
    /// Another account has it or had it, or it is reserved.
    UsernameTaken,
    /// The password breaks a rule.
    Password(PasswordRule),
    /// Over 4096 bytes.
    PasswordTooLong,
    /// A control character.
    PasswordControlCharacter,
    /// The two are not alike.
    PasswordsDiffer,
    /// Spent, expired, unknown, missing, or bound to another address.
    InvitationVoid,
    /// The terms must be agreed to.
    MustAgree,
}

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// Signup is switched off.
    #[error("signup is closed")]
    Closed,
    /// Fields that are wrong, at least one.
    #[error("{0:?}")]
    Invalid(Vec<(SignUpField, FieldError)>),
    /// Too many from this address.
    #[error("too many from one address")]
    RateLimited(Duration),
    /// Too many passwords are being hashed.
    #[error("too many passwords are being hashed")]
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
pub struct SignUp {}

impl SignUp {
    /// Makes an account.
    pub async fn sign_up(
        &self,
        _form: SignUpForm,
        _origin: &Origin,
    ) -> Result<(Account, SignUpNext), SignUpError> {
        todo!()
    }

    /// The invitation that a link carries, if it is still good; uses nothing up.
    pub async fn invitation(&self, _token: &str) -> Result<Option<Invitation>, StoreError> {
        todo!()
    }

    /// Whether people may make accounts themselves.
    pub fn mode(&self) -> SignupMode {
        todo!()
    }
}
