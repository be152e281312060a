//! Replay protection of signatures, on routes that accept each one once (S36).

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::SignatureDigest;
use crate::store::{SpendSignature, Store, StoreError};

/// Claims signatures in the store, so that neither a restart nor another gateway accepts one again.
#[derive(Debug)]
pub struct ReplayGuard {
    store: Arc<dyn Store>,
}

/// Why a signature was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The signature was used before.
    #[error("the signature served before")]
    SpentBefore,
    /// The store's table of signatures is full, so none is accepted for now.
    #[error("too many signatures served lately")]
    Full,
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ReplayGuard {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Claims a signature: of concurrent claims one succeeds. It is kept until `until`, when the signature
    /// expires.
    pub async fn claim(&self, digest: SignatureDigest, until: Timestamp) -> Result<(), ReplayError> {
        match self.store.claim_signature(digest, until).await? {
            SpendSignature::Spent => Ok(()),
            SpendSignature::SpentBefore => Err(ReplayError::SpentBefore),
            SpendSignature::Full => Err(ReplayError::Full),
        }
    }

    /// Releases a claim, since the request did not reach the application.
    pub async fn release(&self, digest: SignatureDigest) {
        if let Err(error) = self.store.release_signature(digest).await {
            tracing::warn!(%error, "a signature that did not serve stays spent");
        }
    }
}
