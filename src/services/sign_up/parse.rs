//! Names as they are typed into a form.

use super::FieldError;
use crate::config::SignupConfig;
use crate::ids::AccountId;
use crate::model::{Email, EmailError, Username, UsernameError};

/// Whether nobody can have the username (S53): it is reserved, differs from one that is by punctuation alone, or reads
/// as the id of an account.
pub(in crate::services) fn is_reserved(config: &SignupConfig, username: &Username) -> bool {
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
}
