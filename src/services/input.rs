//! What people type into forms, read as what it is to be, and what can be wrong with each field.

use super::{PasswordPolicy, PasswordRule};
use crate::config::SignupConfig;
use crate::ids::AccountId;
use crate::model::{
    Email, EmailError, Password, PasswordError, Username, UsernameError, is_blank, turns_text,
};
use crate::secret::Secret;

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
    /// The account has it already.
    EmailUnchanged,
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

/// Whether nobody can have the username (S53): it is reserved, differs from one that is by punctuation alone, or reads
/// as the id of an account.
pub(super) fn is_reserved(config: &SignupConfig, username: &Username) -> bool {
    let spoken = spoken(username.as_str());
    let mut reserved = config.reserved_usernames.iter();
    username.as_str().parse::<AccountId>().is_ok() || reserved.any(|name| self::spoken(name) == spoken)
}

/// A name without its punctuation, in lower case.
fn spoken(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '.' | '_' | '-'));
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// The address that somebody typed.
pub(super) fn parse_email(typed: &str) -> Result<Email, FieldError> {
    if typed.trim().is_empty() {
        return Err(FieldError::Required);
    }
    typed.parse().map_err(|error| match error {
        EmailError::TooLong => FieldError::EmailTooLong,
        EmailError::Malformed => FieldError::EmailMalformed,
    })
}

/// The username that somebody typed.
pub(super) fn parse_username(typed: &str) -> Result<Username, FieldError> {
    if typed.trim().is_empty() {
        return Err(FieldError::Required);
    }
    typed.parse().map_err(|error| match error {
        UsernameError::Length => FieldError::UsernameLength,
        UsernameError::Characters => FieldError::UsernameCharacters,
    })
}

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 100;

/// Why it is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has at most {LONGEST_NAME} characters that can be seen, on one line, and none that turns the direction of text"
)]
pub struct DisplayNameError;

/// A name as it was typed, without blanks around it: none if nothing is left.
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

/// The password, or everything that is wrong with it (S1, S2): alike at signup, change and reset.
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
    fn s53_what_reads_like_a_reserved_name_or_an_id_is_reserved() {
        let config = SignupConfig {
            reserved_usernames: vec!["Admin".to_owned(), "no-reply".to_owned()],
            ..SignupConfig::default()
        };
        let is_reserved = |name: &str| is_reserved(&config, &name.parse().unwrap());
        for name in [
            "admin",
            "admin.",
            "ad.min",
            "a_d-min",
            "noreply",
            "0199c3f0-7b1a-7000-8000-0123456789ab",
            "0199C3F07B1A700080000123456789AB",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["admin2", "ann", "administrators", "0199c3f0"] {
            assert!(!is_reserved(name), "{name}");
        }
    }

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
