//! The chain of chunk signatures, each of which covers the previous one.

use sha2::{Digest, Sha256};

use super::SigningKey;
use crate::authenticate::signature::SignatureError;
use crate::authenticate::signature::mac::{Hex32, same};

/// The signing key, and the signature that was verified last.
#[derive(Debug)]
pub(super) struct Chain {
    key: SigningKey,
    /// Date and scope, one line each.
    context: String,
    last: [u8; 32],
}

impl Chain {
    /// Starts a chain at the signature of the request head.
    pub(super) fn new(key: SigningKey, date: &str, scope: &str, first: [u8; 32]) -> Self {
        Self {
            key,
            context: format!("{date}\n{scope}\n"),
            last: first,
        }
    }

    /// Verifies a chunk's signature; `content` is the SHA-256 of its content.
    pub(super) fn require_chunk(
        &mut self,
        content: &[u8; 32],
        signature: &[u8; 32],
    ) -> Result<(), SignatureError> {
        let nothing = Sha256::digest(b"").into();
        let hashes = [Hex32::of(&nothing), Hex32::of(content)];
        let [nothing, content] = &hashes;
        self.require(
            b"AWS4-HMAC-SHA256-PAYLOAD\n",
            &[nothing.as_bytes(), b"\n", content.as_bytes()],
            signature,
        )
    }

    /// Verifies a trailer's signature.
    pub(super) fn require_trailer(
        &mut self,
        trailer: &[u8],
        signature: &[u8; 32],
    ) -> Result<(), SignatureError> {
        let hash = Hex32::of(&Sha256::digest(trailer).into());
        self.require(b"AWS4-HMAC-SHA256-TRAILER\n", &[hash.as_bytes()], signature)
    }

    fn require(&mut self, what: &[u8], pieces: &[&[u8]], signature: &[u8; 32]) -> Result<(), SignatureError> {
        let last = Hex32::of(&self.last);
        let context = [what, self.context.as_bytes(), last.as_bytes(), b"\n"];
        let mac = self.key.sign(&[&context, pieces].concat());
        if !same(&mac, signature) {
            return Err(SignatureError::BodyDiffers);
        }
        self.last = mac;
        Ok(())
    }
}
