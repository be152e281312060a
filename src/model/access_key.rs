//! Access keys: what programs prove themselves with.

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

/// The public half of an access key: `AKIA` and 16 of `A-Z2-7`, as programs that sign for AWS expect it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId([u8; AccessKeyId::LENGTH]);

/// A text that is not an [`AccessKeyId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an access key is AKIA and 16 of A-Z and 2-7")]
pub struct NotAnAccessKey;

const PREFIX: &[u8; 4] = b"AKIA";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

impl AccessKeyId {
    /// Its length in bytes.
    pub const LENGTH: usize = 20;

    /// A new one, with 80 random bits.
    pub fn new(random: &Random) -> Self {
        let random: [u8; Self::LENGTH] = random.bytes();
        let mut text = random.map(|byte| BASE32[usize::from(byte % 32)]);
        text[..PREFIX.len()].copy_from_slice(PREFIX);
        Self(text)
    }

    /// Reads what a client sent, without an allocation.
    pub fn parse(text: &[u8]) -> Result<Self, NotAnAccessKey> {
        let text: [u8; Self::LENGTH] = text.try_into().map_err(|_| NotAnAccessKey)?;
        let rest = text.strip_prefix(PREFIX).ok_or(NotAnAccessKey)?;
        if !rest.iter().all(|byte| BASE32.contains(byte)) {
            return Err(NotAnAccessKey);
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Always ASCII, by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The text as bytes, for keys of the store.
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

/// The secret half: 40 characters of base64url, 240 random bits. Shown once, kept encrypted.
#[derive(Clone, Debug)]
pub struct SecretKey(Secret<String>);

impl SecretKey {
    /// Its length in characters.
    pub const LENGTH: usize = 40;

    /// A new one.
    pub fn new(random: &Random) -> Self {
        let bytes: Secret<[u8; 30]> = Secret::new(random.bytes());
        Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes.expose())))
    }

    /// One that was made before; `None` if it cannot have been.
    pub fn parse(text: Secret<String>) -> Option<Self> {
        let is_one = text.expose().len() == Self::LENGTH && text.expose().is_ascii();
        is_one.then_some(Self(text))
    }

    /// The text, for signing and for the one time that it is shown.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether a client sent this very secret; in constant time.
    pub fn matches(&self, presented: &[u8]) -> bool {
        self.0.matches(presented)
    }
}

/// An access key, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// Its public half.
    pub id: AccessKeyId,
    /// Whose it is.
    pub account: AccountId,
    /// What its owner calls it; may be empty.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From this moment it serves nobody; `None`: it does not expire.
    pub expires_at: Option<Timestamp>,
    /// Whether it is switched off for now.
    pub disabled: bool,
    /// Its last use.
    pub last_use: Option<KeyUse>,
    /// What it may be used for.
    pub scope: KeyScope,
    /// Its secret half.
    pub secret: EncryptedSecret,
}

impl AccessKey {
    /// Whether it serves nobody any more at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether it is to end and was made in the future, by a clock that was ahead: nobody knows when it is over.
    pub fn is_ahead(&self, now: Timestamp) -> bool {
        self.expires_at.is_some() && clock::is_ahead(self.created_at, now)
    }

    /// From which moment it serves nobody, as it is found at `now`. One that was made in the future, by a clock that was
    /// ahead, begins now.
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
pub struct KeyUse {
    /// When, to the half minute.
    pub at: Timestamp,
    /// From where.
    pub address: Option<IpAddr>,
    /// What the program called itself, at most 256 characters.
    pub client: String,
}

/// What an access key may be used for. Nothing named: everything that its owner may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyScope {
    /// Only these routes, each by its host and path as in the configuration: `console.example.com/api`.
    pub routes: BTreeSet<String>,
    /// Only these methods.
    pub methods: BTreeSet<String>,
}

impl KeyScope {
    /// Whether a request with this method, on the route of this label, is within it.
    pub fn covers(&self, route: &str, method: &str) -> bool {
        (self.routes.is_empty() || self.routes.contains(route))
            && (self.methods.is_empty() || self.methods.contains(method))
    }

    /// Whether it leaves anything out.
    pub fn is_limited(&self) -> bool {
        !(self.routes.is_empty() && self.methods.is_empty())
    }
}

/// Bytes that only the holder of a key can read: XChaCha20-Poly1305.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedSecret {
    /// Random, and never used twice with a key.
    pub nonce: [u8; 24],
    /// The ciphertext and its tag.
    pub ciphertext: Vec<u8>,
}

impl fmt::Debug for EncryptedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.ciphertext.len())
    }
}

/// The key of all access keys' secrets, itself sealed by a master key that is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedDataKey {
    /// The fingerprint of the master key that it is sealed by, so that a wrong one is told from a damaged record.
    pub master: String,
    /// The key.
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
