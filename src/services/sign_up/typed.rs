//! Names as they are typed into a form.

use super::FieldError;
use crate::config::SignupConfig;
use crate::model::{Email, EmailError, Username, UsernameError};

/// Whether nobody can have the username (S53).
pub(in crate::services) fn is_reserved(config: &SignupConfig, username: &Username) -> bool {
    config
        .reserved_usernames
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(username.as_str()))
}

/// The address that somebody typed.
pub(in crate::services) fn parse_email(typed: &str) -> Result<Email, FieldError> {
    if typed.trim().is_empty() {
        return Err(FieldError::Required);
    }
    typed.parse().map_err(|error| match error {
        EmailError::TooLong => FieldError::EmailTooLong,
        EmailError::Malformed => FieldError::EmailMalformed,
    })
}

/// The username that somebody typed.
pub(in crate::services) fn parse_username(typed: &str) -> Result<Username, FieldError> {
    if typed.trim().is_empty() {
        return Err(FieldError::Required);
    }
    typed.parse().map_err(|error| match error {
        UsernameError::Length => FieldError::UsernameLength,
        UsernameError::Characters => FieldError::UsernameCharacters,
    })
}
