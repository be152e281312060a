//! Random tokens of cookies and links. The plain token and its stored digest are two types, so that they
//! cannot be confused.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::random::Random;
use crate::secret::Secret;

const BYTES: usize = 32;
const TEXT: usize = 43;

/// A token in the clear: 256 random bits in base64url. It exists in a cookie or a link and nowhere else.
#[derive(Clone, Debug)]
pub struct PlainToken(Secret<String>);

impl PlainToken {
    /// Generates a token.
    pub fn new(random: &Random) -> Self {
        let bytes: [u8; BYTES] = random.bytes();
        Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Reads a presented token; `None` if length or characters are wrong.
    pub fn parse(text: &str) -> Option<Self> {
        is_plausible(text.as_bytes()).then(|| Self(Secret::new(text.to_owned())))
    }

    /// The token as text, for a cookie or a link.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The digest, which the store keeps.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.expose())
    }
}

fn is_plausible(text: &[u8]) -> bool {
    text.len() == TEXT
        && text
            .iter()
            .all(|&b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// SHA-256 of a token. Tokens are random, so no salt and no slow hash is needed (NIST SP 800-63B-4, 3.1.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Computes the digest of a token's text, without an allocation: it runs for every request.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Computes the digest of a presented token, without an allocation; `None` if length or characters are
    /// wrong.
    pub fn of_presented(text: &[u8]) -> Option<Self> {
        is_plausible(text).then(|| Self(Sha256::digest(text).into()))
    }

    /// The digest as bytes, for index keys of the store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Makes a digest from an index key of the store.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenDigest({}…)", URL_SAFE_NO_PAD.encode(&self.0[..4]))
    }
}

impl Serialize for TokenDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for TokenDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a token's digest has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_digest_and_shown_by_nothing() {
        let token = PlainToken::new(&Random::seeded(1));
        let presented = PlainToken::parse(token.expose()).unwrap();
        assert_eq!(presented.digest(), token.digest());
        assert!(!format!("{token:?}").contains(token.expose()));
    }

    #[test]
    fn what_cannot_be_a_token_is_not_one() {
        for text in [
            "",
            "short",
            &"a".repeat(44),
            &"ä".repeat(43),
            &format!("{} ", "a".repeat(42)),
        ] {
            assert!(PlainToken::parse(text).is_none(), "{text:?}");
        }
    }
}
