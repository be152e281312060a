//! E-mail addresses: parsing, the key by which they are compared, and the form that mail servers take.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// The address of one mailbox.
///
/// Narrower than RFC 5321 on purpose: no quoted local parts, comments, display names or address literals.
/// They are legal and out of use, and each has served to smuggle a second receiver or a header into a mailer.
/// Compared without case; kept as typed, in NFC. An internationalised domain is kept and compared in Unicode,
/// however it is written (UTS 46).
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

    /// The address in lower case and NFC: equal for all spellings of one address.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the address with an internationalised domain in ASCII (RFC 5890, section 2.3.2.1), which every
    /// mail server takes. A local part that is not ASCII still needs a server with SMTPUTF8 (RFC 6531).
    pub fn deliverable(&self) -> Cow<'_, str> {
        match self.typed.split_once('@') {
            Some((local, domain)) if !domain.is_ascii() => match in_ascii(domain) {
                Some(domain) => Cow::Owned(format!("{local}@{domain}")),
                None => Cow::Borrowed(&self.typed),
            },
            _ => Cow::Borrowed(&self.typed),
        }
    }

    /// The local part, before the `@`.
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
        if !is_local(local) {
            return Err(EmailError::Malformed);
        }
        let typed = if is_international(domain) {
            let domain = in_unicode(domain).ok_or(EmailError::Malformed)?;
            format!("{local}@{domain}")
        } else if is_domain(domain) {
            typed
        } else {
            return Err(EmailError::Malformed);
        };
        if typed.len() > Self::MAX_LENGTH {
            return Err(EmailError::TooLong);
        }
        let key = typed.to_lowercase().nfc().collect();
        Ok(Self { typed, key })
    }
}

/// Returns whether a domain is written in Unicode or has an A-label (`xn--`).
fn is_international(domain: &str) -> bool {
    let is_a_label = |label: &str| {
        let start = label.get(..4);
        start.is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
    };
    !domain.is_ascii() || domain.split('.').any(is_a_label)
}

/// Converts an internationalised domain to Unicode. `None` unless it consists of letters, digits and hyphens
/// and has a valid ASCII form.
fn in_unicode(domain: &str) -> Option<String> {
    let known = in_ascii(domain)?;
    let (read, result) =
        Uts46::new().to_unicode(known.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    result.ok()?;
    is_domain(&read).then(|| read.into_owned())
}

fn in_ascii(domain: &str) -> Option<Cow<'_, str>> {
    let hyphens = Hyphens::CheckFirstLast;
    Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, hyphens, DnsLength::Verify)
        .ok()
}

/// RFC 5322 dot-atom, with non-ASCII letters and digits as RFC 6531 allows; at most 64 bytes.
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

/// Host labels. A single one (`localhost`) is allowed. The length of a Unicode label is checked in its ASCII
/// form.
fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && (label.len() <= 63 || !label.is_ascii())
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
    fn an_internationalised_domain_is_one_however_it_is_written() {
        let email = |text: &str| text.parse::<Email>().unwrap();
        for text in [
            "ann@bücher.example",
            "ann@xn--bcher-kva.example",
            "Ann@XN--BCHER-KVA.Example",
            "ANN@BÜCHER.EXAMPLE",
            "ann@bu\u{308}cher.example",
            "ann@ｂücher．example",
            "ann@bücher。example",
        ] {
            let read = email(text);
            assert_eq!(read, email("ann@bücher.example"), "{text}");
            assert_eq!(read.key(), "ann@bücher.example", "{text}");
            assert!(read.as_str().ends_with("@bücher.example"), "{text}");
            assert!(read.deliverable().ends_with("@xn--bcher-kva.example"), "{text}");
            assert_eq!(String::from(read.clone()).parse::<Email>().unwrap(), read);
        }
        assert_eq!(
            email("홍길동@예시.한국").deliverable(),
            "홍길동@xn--vv4b11d.xn--3e0b707e"
        );
        assert_eq!(email("Ann@Example.COM").deliverable(), "Ann@Example.COM");
        assert_ne!(email("ann@bücher.example"), email("ann@bucher.example"));
        let long = "가".repeat(30);
        assert_eq!(email(&format!("a@{long}.kr")).as_str(), format!("a@{long}.kr"));
        for text in [
            "a@xn--a.example",
            "a@xn--.example",
            "a@-bücher.example",
            "a@bü_cher.example",
            "a@bü\u{200d}cher.example",
            "a@ü＠b.example",
            "a@☕.example",
            "a@bücher.",
            &format!("a@{}.kr", "가".repeat(60)),
        ] {
            assert_eq!(text.parse::<Email>(), Err(EmailError::Malformed), "{text}");
        }
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
