//! Digests of request signatures, for replay protection.

use sha2::{Digest, Sha256};

/// Identifies a signature: SHA-256 of the access key and the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignatureDigest([u8; 32]);

impl SignatureDigest {
    /// Computes the digest of a signature by this access key.
    pub fn of(access_key: &str, signature: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(access_key)
            .chain_update([0])
            .chain_update(signature);
        Self(digest.finalize().into())
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
