//! A password in the clear, on its short way from a form to the hash.

use unicode_normalization::UnicodeNormalization;

use crate::secret::Secret;

/// A password as it will be hashed: NFC, without control characters, at most 4 KiB.
///
/// Says nothing about strength: a password that a policy refuses today may be one that somebody has.
#[derive(Clone, Debug)]
pub struct Password(Secret<String>);

/// Why a text is not a [`Password`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing typed.
    #[error("the password is empty")]
    Empty,
    /// Over [`Password::MAX_LENGTH`] bytes: refused before anything is computed over it.
    #[error("the password is longer than 4096 bytes")]
    TooLong,
    /// NUL, a line break or another control character: some hash functions would end at it.
    #[error("the password contains a control character")]
    ControlCharacter,
}

impl Password {
    /// The longest password, in bytes of UTF-8 as typed.
    pub const MAX_LENGTH: usize = 4096;

    /// Normalises (NFC) and checks what was typed.
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
