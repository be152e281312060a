//! Access keys: the id and secret with which programs sign requests, and the encrypted form that the store
//! keeps.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::ids::AccountId;
use crate::random::Random;
use crate::secret::Secret;

/// The public id of an access key: `AKIA` and 16 characters of `A-Z2-7`, the form that AWS signature clients
/// expect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId([u8; AccessKeyId::LENGTH]);

/// The error for a text that is not an [`AccessKeyId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an access key is AKIA and 16 of A-Z and 2-7")]
pub struct NotAnAccessKey;

const PREFIX: &[u8; 4] = b"AKIA";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

impl AccessKeyId {
    /// The length in bytes.
    pub const LENGTH: usize = 20;

    /// Generates an id with 80 random bits.
    pub fn new(random: &Random) -> Self {
        let random: [u8; Self::LENGTH] = random.bytes();
        let mut text = random.map(|byte| BASE32[usize::from(byte % 32)]);
        text[..PREFIX.len()].copy_from_slice(PREFIX);
        Self(text)
    }

    /// Parses what a client sent, without an allocation.
    pub fn parse(text: &[u8]) -> Result<Self, NotAnAccessKey> {
        let text: [u8; Self::LENGTH] = text.try_into().map_err(|_| NotAnAccessKey)?;
        let rest = text.strip_prefix(PREFIX).ok_or(NotAnAccessKey)?;
        if !rest.iter().all(|byte| BASE32.contains(byte)) {
            return Err(NotAnAccessKey);
        }
        Ok(Self(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // Always ASCII, by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The id as bytes, for index keys of the store.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AccessKeyId {
    type Err = NotAnAccessKey;

    fn from_str(text: &str) -> Result<Self, NotAnAccessKey> {
        Self::parse(text.as_bytes())
    }
}

impl TryFrom<String> for AccessKeyId {
    type Error = NotAnAccessKey;

    fn try_from(text: String) -> Result<Self, NotAnAccessKey> {
        text.parse()
    }
}

impl From<AccessKeyId> for String {
    fn from(id: AccessKeyId) -> Self {
        id.as_str().to_owned()
    }
}

/// The secret of an access key: 40 characters of base64url, 240 random bits. Shown once, stored encrypted.
#[derive(Clone, Debug)]
pub struct SecretKey(Secret<String>);

impl SecretKey {
    /// The length in characters.
    pub const LENGTH: usize = 40;

    /// Generates a secret.
    pub fn new(random: &Random) -> Self {
        let bytes: Secret<[u8; 30]> = Secret::new(random.bytes());
        Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes.expose())))
    }

    /// Reads a stored secret; `None` if the length is wrong or a character is not ASCII.
    pub fn parse(text: Secret<String>) -> Option<Self> {
        let is_one = text.expose().len() == Self::LENGTH && text.expose().is_ascii();
        is_one.then_some(Self(text))
    }

    /// The secret as text, for signing and for the one page that shows it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Compares with what a client sent, in constant time.
    pub fn matches(&self, presented: &[u8]) -> bool {
        self.0.matches(presented)
    }
}

/// An access key as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The public id.
    pub id: AccessKeyId,
    /// The owner.
    pub account: AccountId,
    /// The owner's label; may be empty.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires, exclusive; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Whether it is disabled for now; a disabled key can be enabled again.
    pub disabled: bool,
    /// The last use; `None` if it was never used.
    pub last_use: Option<KeyUse>,
    /// What requests it may sign.
    pub scope: KeyScope,
    /// The secret, encrypted with the data key.
    pub secret: EncryptedSecret,
}

impl AccessKey {
    /// Returns whether the key has expired at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Returns whether the key expires and has a creation time in the future, from a clock that was ahead:
    /// its stored end cannot be trusted then.
    pub fn is_ahead(&self, now: Timestamp) -> bool {
        self.expires_at.is_some() && clock::is_ahead(self.created_at, now)
    }

    /// Returns when the key expires, seen at `now`. A key created in the future, by a clock that was ahead,
    /// has its whole lifetime counted from `now`.
    pub fn believed_end(&self, now: Timestamp) -> Option<Timestamp> {
        let end = self.expires_at?;
        if !self.is_ahead(now) {
            return Some(end);
        }
        let lasts = end.duration_since(self.created_at);
        Some(now.checked_add(lasts).unwrap_or(end))
    }
}

/// One use of an access key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyUse {
    /// When, to the half minute.
    pub at: Timestamp,
    /// The client's address, if known.
    pub address: Option<IpAddr>,
    /// The client's `User-Agent`, at most 256 characters.
    pub client: String,
}

/// What requests an access key may sign. An empty set does not restrict: the default is all that the owner
/// may do. A restriction of a later version must not be dropped by a reader that does not know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyScope {
    /// Only these routes, each by host and path as in the configuration: `console.example.com/api`.
    pub routes: BTreeSet<String>,
    /// Only these HTTP methods.
    pub methods: BTreeSet<String>,
}

impl KeyScope {
    /// Returns whether the scope covers a request with this method on the route with this label.
    pub fn covers(&self, route: &str, method: &str) -> bool {
        (self.routes.is_empty() || self.routes.contains(route))
            && (self.methods.is_empty() || self.methods.contains(method))
    }

    /// Returns whether the scope restricts anything.
    pub fn is_limited(&self) -> bool {
        !(self.routes.is_empty() && self.methods.is_empty())
    }
}

/// A ciphertext of XChaCha20-Poly1305.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedSecret {
    /// The nonce: random, never reused with a key.
    pub nonce: [u8; 24],
    /// The ciphertext with its authentication tag.
    pub ciphertext: Vec<u8>,
}

impl fmt::Debug for EncryptedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptedSecret({} bytes)", self.ciphertext.len())
    }
}

/// The data key that encrypts the secrets of all access keys, encrypted (wrapped) by a master key that is
/// kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedDataKey {
    /// The fingerprint of the wrapping master key: tells a wrong master key from a damaged row.
    pub master: String,
    /// The wrapped data key.
    pub sealed: EncryptedSecret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_key_has_one_form() {
        let id = AccessKeyId::new(&Random::seeded(1));
        assert_eq!(id.as_str().parse(), Ok(id));
        assert!(id.as_str().starts_with("AKIA"));
        for text in [
            "",
            "AKIA",
            "AKIAIOSFODNN7EXAMPL",
            "AKIAIOSFODNN7EXAMPLEE",
            "AKIAIOSFODNN1EXAMPLE",
            "akiaiosfodnn7example",
            "ASIAIOSFODNN7EXAMPLE",
            "AKIAIOSFODNN7EXAMPL\n",
            "AKIAIOSFODNN7EXAMé",
        ] {
            assert_eq!(text.parse::<AccessKeyId>(), Err(NotAnAccessKey), "{text:?}");
        }
        assert!("AKIAIOSFODNN7EXAMPLE".parse::<AccessKeyId>().is_ok());
    }

    #[test]
    fn a_secret_has_forty_characters_and_shows_in_nothing() {
        let secret = SecretKey::new(&Random::seeded(1));
        assert_eq!(secret.expose().len(), SecretKey::LENGTH);
        assert!(!format!("{secret:?}").contains(secret.expose()));
        assert!(secret.matches(secret.expose().as_bytes()));
        assert!(!secret.matches(b""));
        assert!(SecretKey::parse(Secret::new("short".to_owned())).is_none());
    }

    #[test]
    fn a_scope_leaves_out_what_it_does_not_name() {
        let all = KeyScope::default();
        assert!(all.covers("a.example.com/", "DELETE") && !all.is_limited());
        let some = KeyScope {
            routes: ["a.example.com/api".to_owned()].into(),
            methods: ["GET".to_owned()].into(),
        };
        assert!(some.covers("a.example.com/api", "GET") && some.is_limited());
        assert!(!some.covers("a.example.com/api", "POST"));
        assert!(!some.covers("a.example.com/", "GET"));
    }
}
