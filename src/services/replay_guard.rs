//! Signatures that served, on routes where a signature serves once (S36).

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::SignatureDigest;
use crate::store::{SpendSignature, Store, StoreError};

/// Remembers them in the store, so that neither a restart nor another gateway forgets one.
#[derive(Debug)]
pub struct ReplayGuard {
    store: Arc<dyn Store>,
}

/// Why a signature serves nobody.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It served before.
    #[error("the signature served before")]
    SpentBefore,
    /// No more can be remembered for now, so none is let through.
    #[error("too many signatures served lately")]
    Full,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ReplayGuard {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Has a signature serve, if it did not yet: of many at one moment one does. It is remembered until it is of no
    /// use by itself.
    pub async fn claim(&self, digest: SignatureDigest, until: Timestamp) -> Result<(), ReplayError> {
        match self.store.claim_signature(digest, until).await? {
            SpendSignature::Spent => Ok(()),
            SpendSignature::SpentBefore => Err(ReplayError::SpentBefore),
            SpendSignature::Full => Err(ReplayError::Full),
        }
    }

    /// Lets it serve once more: the application was not reached.
    pub async fn release(&self, digest: SignatureDigest) {
        if let Err(error) = self.store.release_signature(digest).await {
            tracing::warn!(%error, "a signature that did not serve stays spent");
        }
    }
}
