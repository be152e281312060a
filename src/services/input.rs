//! Parses and validates form input, with the errors of each field.

use super::{PasswordPolicy, PasswordRule};
use crate::model::{
    Email, EmailError, Password, PasswordError, Username, UsernameError, is_blank, turns_text,
};
use crate::secret::Secret;

/// A field of the sign-up form.
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
    /// The field is empty.
    Required,
    /// Not an e-mail address.
    EmailMalformed,
    /// Over 254 characters.
    EmailTooLong,
    /// Another account has it.
    EmailTaken,
    /// The address is the one that the account has.
    EmailUnchanged,
    /// Under 2 or over 64 characters.
    UsernameLength,
    /// A character that a username cannot have.
    UsernameCharacters,
    /// Another account has or had the username, or it is reserved.
    UsernameTaken,
    /// The password breaks a rule.
    Password(PasswordRule),
    /// Over 4096 bytes.
    PasswordTooLong,
    /// The password has a control character.
    PasswordControlCharacter,
    /// The repetition differs.
    PasswordsDiffer,
    /// The invitation is used, expired, unknown, missing, or bound to another address.
    InvitationVoid,
    /// The terms were not accepted.
    MustAgree,
}

/// Parses an e-mail address.
pub(super) fn parse_email(typed: &str) -> Result<Email, FieldError> {
    if typed.trim().is_empty() {
        return Err(FieldError::Required);
    }
    typed.parse().map_err(|error| match error {
        EmailError::TooLong => FieldError::EmailTooLong,
        EmailError::Malformed => FieldError::EmailMalformed,
    })
}

/// Parses a username.
pub(super) fn parse_username(typed: &str) -> Result<Username, FieldError> {
    if typed.trim().is_empty() {
        return Err(FieldError::Required);
    }
    typed.parse().map_err(|error| match error {
        UsernameError::Length => FieldError::UsernameLength,
        UsernameError::Characters => FieldError::UsernameCharacters,
    })
}

/// The longest display name, in characters.
pub const LONGEST_NAME: usize = 100;

/// The text is not a display name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has at most {LONGEST_NAME} characters that can be seen, on one line, and none that turns the direction of text"
)]
pub struct DisplayNameError;

/// Parses a display name and trims it; `None` if it is empty.
pub(super) fn parse_display_name(typed: &str) -> Result<Option<String>, DisplayNameError> {
    let name = typed.trim();
    let is_hidden = !name.is_empty() && is_blank(name);
    if is_hidden
        || name.chars().count() > LONGEST_NAME
        || name.chars().any(|c| c.is_control() || turns_text(c))
    {
        return Err(DisplayNameError);
    }
    Ok(Some(name.to_owned()).filter(|name| !name.is_empty()))
}

/// Parses a new password, or returns everything that is wrong with it (S1, S2). Sign-up, change and reset
/// share it.
pub(super) fn parse_new_password(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_that_reads_as_it_is() {
        assert_eq!(parse_display_name("  김미나 "), Ok(Some("김미나".to_owned())));
        assert_eq!(parse_display_name("שרה לוי"), Ok(Some("שרה לוי".to_owned())));
        assert_eq!(parse_display_name(" \t"), Ok(None));
        assert!(parse_display_name(&"한".repeat(LONGEST_NAME)).is_ok());
        for name in [
            "a\nb",
            "a\u{7}b",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{2028}b",
            "\u{200b}",
            " \u{feff}\u{200b} ",
            "\u{3164}",
            &"x".repeat(LONGEST_NAME + 1),
        ] {
            assert_eq!(parse_display_name(name), Err(DisplayNameError), "{name:?}");
        }
    }
}
