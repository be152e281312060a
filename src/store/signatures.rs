//! Signatures that served.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::model::SignatureDigest;

/// Signatures that served: a part of every [`Store`](super::Store).
#[async_trait]
pub trait SignatureStore: Send + Sync + 'static {
    /// Spends a signature, unless it was spent before: it serves nobody again until `until`, when it is of no use by
    /// itself, and across a restart.
    ///
    /// Atomic: of any number of parallel calls one is [`SpendSignature::Spent`].
    async fn claim_signature(
        &self,
        digest: SignatureDigest,
        until: Timestamp,
    ) -> Result<SpendSignature, StoreError>;

    /// Takes it back: the request that it was on reached nobody. Whether it was spent.
    async fn release_signature(&self, digest: SignatureDigest) -> Result<bool, StoreError>;
}

/// What became of [`SignatureStore::claim_signature`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendSignature {
    /// It is spent now.
    Spent,
    /// It was spent before.
    SpentBefore,
    /// So many are remembered that there is no room for it.
    Full,
}
