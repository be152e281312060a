//! Usernames: parsing and normalisation to lower case.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A username: 2 to 64 of `[a-z0-9._-]`, first a letter or digit. Safe in a header, a path and a file name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Username(String);

/// Why a text is not a [`Username`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// Under 2 or over 64 characters.
    #[error("a username has 2 to 64 characters")]
    Length,
    /// A character outside the set, or a first one that is not a letter or digit.
    #[error("a username has letters a-z, digits, `.`, `_` and `-`, and begins with a letter or digit")]
    Characters,
}

impl Username {
    /// The username, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = UsernameError;

    fn from_str(text: &str) -> Result<Self, UsernameError> {
        let name = text.trim_matches(' ').to_ascii_lowercase();
        if !(2..=64).contains(&name.chars().count()) {
            return Err(UsernameError::Length);
        }
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if !name.bytes().all(allowed) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(UsernameError::Characters);
        }
        Ok(Self(name))
    }
}

impl TryFrom<String> for Username {
    type Error = UsernameError;

    fn try_from(text: String) -> Result<Self, UsernameError> {
        text.parse()
    }
}

impl From<Username> for String {
    fn from(username: Username) -> Self {
        username.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_lower_cased_and_validated() {
        assert_eq!("Ann.Lee-2".parse::<Username>().unwrap().as_str(), "ann.lee-2");
        assert_eq!("a".parse::<Username>(), Err(UsernameError::Length));
        assert_eq!("a".repeat(65).parse::<Username>(), Err(UsernameError::Length));
        for text in ["_a", ".ab", "-ab", "a b", "a/b", "a,b", "hé", "a\nb", "홍길"] {
            assert_eq!(
                text.parse::<Username>(),
                Err(UsernameError::Characters),
                "{text:?}"
            );
        }
    }
}
