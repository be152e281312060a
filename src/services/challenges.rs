//! Challenges for signing in with an access key: valid for two minutes, once.
//!
//! Challenges are stateless: a nonce and a timestamp under an HMAC whose key every gateway on this store
//! derives.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use super::AccessKeys;
use crate::clock::Clock;
use crate::model::SignatureDigest;
use crate::random::Random;
use crate::secret::Secret;

/// How long a challenge is valid.
pub(super) const LASTS: Duration = Duration::from_mins(2);

/// The lengths of the nonce and of the timestamp (seconds), in bytes.
const NONCE: usize = 16;
const SECONDS: usize = 8;

/// Issues and verifies challenges.
#[derive(Debug)]
pub(super) struct Challenges {
    key: Secret<[u8; 32]>,
    clock: Clock,
    random: Random,
}

/// A verified challenge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Challenge {
    /// Identifies the challenge, for replay protection.
    pub(super) digest: SignatureDigest,
    /// When it expires.
    pub(super) until: Timestamp,
}

impl Challenges {
    pub(super) fn new(keys: &AccessKeys, clock: Clock, random: Random) -> Self {
        Self {
            key: keys.derive("sign-in challenge"),
            clock,
            random,
        }
    }

    pub(super) fn issue(&self) -> String {
        let nonce: [u8; NONCE] = self.random.bytes();
        let mut text = nonce.to_vec();
        text.extend_from_slice(&self.clock.now().as_second().to_be_bytes());
        let code = self.code(&text).map(|code| code.finalize().into_bytes());
        text.extend_from_slice(code.as_deref().unwrap_or_default());
        URL_SAFE_NO_PAD.encode(text)
    }

    /// Verifies a challenge; `None` if it is forged or expired.
    pub(super) fn read(&self, text: &str) -> Option<Challenge> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (said, code) = bytes.split_at_checked(NONCE + SECONDS)?;
        self.code(said)?.verify_slice(code).ok()?;
        let seconds = i64::from_be_bytes(said.get(NONCE..)?.try_into().ok()?);
        let made = Timestamp::from_second(seconds).ok()?;
        let until = made.checked_add(LASTS).ok()?;
        let now = self.clock.now();
        // In seconds, the precision of the timestamp.
        let is_fresh = made.as_second() <= now.as_second() && now < until;
        is_fresh.then(|| Challenge {
            digest: SignatureDigest::of("sign-in challenge", said),
            until,
        })
    }

    /// Computes the HMAC. Never `None`: HMAC takes keys of any length.
    fn code(&self, said: &[u8]) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(self.key.expose()).ok()?;
        Some(mac.chain_update(said))
    }
}
