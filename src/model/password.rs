//! Passwords in the clear, between a form and the hash function.

use unicode_normalization::UnicodeNormalization;

use crate::secret::Secret;

/// A password ready to be hashed: in NFC, without control characters, at most 4 KiB.
///
/// No check of strength: an account may have a password that today's policy refuses.
#[derive(Clone, Debug)]
pub struct Password(Secret<String>);

/// Why a text is not a [`Password`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is empty.
    #[error("the password is empty")]
    Empty,
    /// It is over [`Password::MAX_LENGTH`] bytes: refused before anything is computed over it.
    #[error("the password is longer than 4096 bytes")]
    TooLong,
    /// It has a NUL, a line break or another control character, at which some hash functions would end.
    #[error("the password contains a control character")]
    ControlCharacter,
}

impl Password {
    /// The longest password, in bytes of UTF-8 as typed.
    pub const MAX_LENGTH: usize = 4096;

    /// Checks and normalises (NFC) what was typed.
    pub fn parse(typed: &Secret<String>) -> Result<Self, PasswordError> {
        let typed = typed.expose();
        if typed.is_empty() {
            return Err(PasswordError::Empty);
        }
        if typed.len() > Self::MAX_LENGTH {
            return Err(PasswordError::TooLong);
        }
        if typed.chars().any(char::is_control) {
            return Err(PasswordError::ControlCharacter);
        }
        Ok(Self(Secret::new(typed.nfc().collect())))
    }

    /// The normalised text.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Password, PasswordError> {
        Password::parse(&Secret::new(text.to_owned()))
    }

    #[test]
    fn one_normalisation_for_all_keyboards() {
        let (composed, decomposed) = (parse("caf\u{e9}").unwrap(), parse("cafe\u{301}").unwrap());
        assert_eq!(composed.expose(), decomposed.expose());
    }

    #[test]
    fn refuses_what_cannot_be_hashed_safely() {
        assert_eq!(parse("").unwrap_err(), PasswordError::Empty);
        assert_eq!(parse("a\0b").unwrap_err(), PasswordError::ControlCharacter);
        assert_eq!(parse(&"a".repeat(1 << 20)).unwrap_err(), PasswordError::TooLong);
        assert!(parse(&"한".repeat(64)).is_ok());
    }
}
