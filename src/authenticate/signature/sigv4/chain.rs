//! Signatures of chunks, each of which continues the one before it.

use sha2::{Digest, Sha256};

use super::SigningKey;
use crate::authenticate::signature::SignatureError;
use crate::authenticate::signature::mac::{Hex32, same};

/// The signature that was checked last, and what the next one is made with.
#[derive(Debug)]
pub(super) struct Chain {
    key: SigningKey,
    /// Date and scope, a line each.
    context: String,
    last: [u8; 32],
}

impl Chain {
    /// From the signature of the request's head on.
    pub(super) fn new(key: SigningKey, date: &str, scope: &str, first: [u8; 32]) -> Self {
        Self {
            key,
            context: format!("{date}\n{scope}\n"),
            last: first,
        }
    }

    /// Refuses a chunk whose content, of which this is the SHA-256, has another signature.
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

    /// Refuses a trailer that has another signature.
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
