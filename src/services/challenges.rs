//! What the holder of an access key signs to sign in: good for two minutes, once.
//!
//! A challenge says itself when it was made, under a code that only gateways over the same store can make. So none is
//! remembered before it serves, however many are asked for, and it serves at whichever gateway it comes to.

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

/// How long a challenge may be answered.
pub(super) const LASTS: Duration = Duration::from_mins(2);

/// The random part, and the moment in seconds.
const NONCE: usize = 16;
const SECONDS: usize = 8;

/// Makes challenges, and knows its own.
#[derive(Debug)]
pub(super) struct Challenges {
    key: Secret<[u8; 32]>,
    clock: Clock,
    random: Random,
}

/// A challenge that may be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Challenge {
    /// Tells it from all others.
    pub(super) digest: SignatureDigest,
    /// From when on it is of no use by itself.
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

    /// Reads one that may still be answered.
    pub(super) fn read(&self, text: &str) -> Option<Challenge> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (said, code) = bytes.split_at_checked(NONCE + SECONDS)?;
        self.code(said)?.verify_slice(code).ok()?;
        let seconds = i64::from_be_bytes(said.get(NONCE..)?.try_into().ok()?);
        let made = Timestamp::from_second(seconds).ok()?;
        let until = made.checked_add(LASTS).ok()?;
        let now = self.clock.now();
        // To the second: a challenge has no smaller parts.
        let is_fresh = made.as_second() <= now.as_second() && now < until;
        is_fresh.then(|| Challenge {
            digest: SignatureDigest::of("sign-in challenge", said),
            until,
        })
    }

    /// Keys of any length are taken, so there always is one.
    fn code(&self, said: &[u8]) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(self.key.expose()).ok()?;
        Some(mac.chain_update(said))
    }
}
