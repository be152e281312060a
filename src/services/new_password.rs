//! A password that somebody chooses for themselves, typed twice.

use super::{FieldError, PasswordPolicy, SignUpField};
use crate::model::{Email, Password, PasswordError, Username};
use crate::secret::Secret;

/// The password, or everything that is wrong with it (S1, S2): alike at signup, change and reset.
pub(super) fn choose(
    policy: &PasswordPolicy,
    typed: &Secret<String>,
    again: &Secret<String>,
    email: Option<&Email>,
    username: Option<&Username>,
) -> Result<Password, Vec<(SignUpField, FieldError)>> {
    let mut errors = Vec::new();
    let password = Password::parse(typed)
        .map_err(|error| errors.push((SignUpField::Password, unusable(error))))
        .ok();
    if let Some(password) = &password {
        let broken = policy.validate(password, email, username);
        errors.extend(
            broken
                .into_iter()
                .map(|rule| (SignUpField::Password, FieldError::Password(rule))),
        );
    }
    if again.expose().is_empty() {
        errors.push((SignUpField::PasswordConfirm, FieldError::Required));
    } else if !again.matches(typed.expose().as_bytes()) {
        errors.push((SignUpField::PasswordConfirm, FieldError::PasswordsDiffer));
    }
    match password {
        Some(password) if errors.is_empty() => Ok(password),
        _ => Err(errors),
    }
}

fn unusable(error: PasswordError) -> FieldError {
    match error {
        PasswordError::Empty => FieldError::Required,
        PasswordError::TooLong => FieldError::PasswordTooLong,
        PasswordError::ControlCharacter => FieldError::PasswordControlCharacter,
    }
}
