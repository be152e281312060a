//! An e-mail address.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// An address to which one mail can be sent, and nothing else.
///
/// Narrower than RFC 5321 on purpose: no quoted local parts, no comments, no display names, no address
/// literals. Those are legal, nobody has one, and each has been a way to smuggle a second receiver or a
/// header into somebody's mailer. Compared without case; kept as it was typed, in NFC.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email {
    typed: String,
    key: String,
}

/// Why a text is not an [`Email`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// More than 254 bytes (RFC 5321, section 4.5.3.1.3, less the angle brackets).
    #[error("the address is longer than 254 characters")]
    TooLong,
    /// Not `local@domain` in the form described at [`Email`].
    #[error("not an e-mail address")]
    Malformed,
}

impl Email {
    /// The longest address, in bytes.
    pub const MAX_LENGTH: usize = 254;

    /// The address as its owner typed it.
    pub fn as_str(&self) -> &str {
        &self.typed
    }

    /// What two spellings of one address have in common: lower case, NFC.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The part before the `@`.
    pub fn local(&self) -> &str {
        self.typed.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let typed: String = text.trim_matches(' ').nfc().collect();
        if typed.len() > Self::MAX_LENGTH {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = typed.split_once('@').ok_or(EmailError::Malformed)?;
        if !is_local(local) || !is_domain(domain) {
            return Err(EmailError::Malformed);
        }
        let key = typed.to_lowercase().nfc().collect();
        Ok(Self { typed, key })
    }
}

/// RFC 5322 dot-atom, with non-ASCII letters as RFC 6531 allows, at most 64 bytes.
fn is_local(local: &str) -> bool {
    let atom = |c: char| {
        c.is_ascii_alphanumeric()
            || "!#$%&'*+-/=?^_`{|}~".contains(c)
            || (!c.is_ascii() && c.is_alphanumeric())
    };
    local.len() <= 64
        && local
            .split('.')
            .all(|part| !part.is_empty() && part.chars().all(atom))
}

/// Host labels; one label alone (`localhost`) is a machine's own mail.
fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c == '-' || c.is_alphanumeric())
    };
    domain.len() <= 253 && domain.split('.').all(label)
}

impl TryFrom<String> for Email {
    type Error = EmailError;

    fn try_from(text: String) -> Result<Self, EmailError> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.typed
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Email {}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({})", self.typed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_addresses_pass() {
        for text in [
            "a@b",
            "first.last+tag@example.com",
            "홍길동@예시.한국",
            "o'neil@example.co.uk",
        ] {
            assert!(text.parse::<Email>().is_ok(), "{text}");
        }
    }

    #[test]
    fn tricks_are_refused() {
        for text in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "\"a b\"@c.com",
            "A <a@b.com>",
            "a@b.com\r\nBcc: x@y.z",
            "a@b,c@d",
            "a@[127.0.0.1]",
            ".a@b.c",
            "a..b@c.d",
            "a.@c.d",
            "a@-b.c",
            "a@b..c",
            "a b@c.d",
            "a@b.c\0",
            "a(x)@b.c",
        ] {
            assert!(text.parse::<Email>().is_err(), "{text:?}");
        }
        assert_eq!(
            format!("{}@b.c", "a".repeat(260)).parse::<Email>(),
            Err(EmailError::TooLong)
        );
    }

    #[test]
    fn case_does_not_tell_two_people_apart() {
        let (one, other): (Email, Email) = (
            "Ann@Example.COM".parse().unwrap(),
            "ann@example.com".parse().unwrap(),
        );
        assert_eq!(one, other);
        assert_eq!(one.as_str(), "Ann@Example.COM");
    }
}
