//! A signature that served.

use sha2::{Digest, Sha256};

/// Tells a signature from every other one: SHA-256 of who made it and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignatureDigest([u8; 32]);

impl SignatureDigest {
    /// Of a signature by this access key.
    pub fn of(access_key: &str, signature: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(access_key)
            .chain_update([0])
            .chain_update(signature);
        Self(digest.finalize().into())
    }

    /// The digest as bytes, for keys of the store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A digest from the bytes of a key of the store.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}
