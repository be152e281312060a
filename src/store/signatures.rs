//! Operations on spent signatures, for replay protection.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::model::SignatureDigest;

/// Spent signatures: a part of [`Store`](super::Store).
#[async_trait]
pub trait SignatureStore: Send + Sync + 'static {
    /// Claims a signature: it cannot be claimed again until `until`, when it is invalid by itself. Survives a
    /// restart.
    ///
    /// Atomic: of any number of concurrent calls one is [`SpendSignature::Spent`].
    async fn claim_signature(
        &self,
        digest: SignatureDigest,
        until: Timestamp,
    ) -> Result<SpendSignature, StoreError>;

    /// Releases a signature, whose request was not forwarded. Returns whether it was spent.
    async fn release_signature(&self, digest: SignatureDigest) -> Result<bool, StoreError>;
}

/// The outcome of [`SignatureStore::claim_signature`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendSignature {
    /// Spent by this call.
    Spent,
    /// Spent before.
    SpentBefore,
    /// There is no room to remember it.
    Full,
}
