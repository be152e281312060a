//! Signatures that served, on routes where a signature serves once (S36).

use jiff::Timestamp;

use super::Kept;
use crate::model::SignatureDigest;
use crate::store::{SpendSignature, StoreError};

/// Remembers them in the store, so that neither a restart nor another gateway forgets one.
#[derive(Debug)]
pub struct SpentSignatures {
    store: Kept,
}

/// Why a signature serves nobody.
#[derive(Debug, thiserror::Error)]
pub enum SpendError {
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

impl SpentSignatures {
    pub(super) fn new(store: Kept) -> Self {
        Self { store }
    }

    /// Has a signature serve, if it did not yet: of many at one moment one does. It is remembered until it is of no
    /// use by itself.
    pub async fn spend(&self, digest: SignatureDigest, until: Timestamp) -> Result<(), SpendError> {
        match self.store.spend_signature(digest, until).await? {
            SpendSignature::Spent => Ok(()),
            SpendSignature::SpentBefore => Err(SpendError::SpentBefore),
            SpendSignature::Full => Err(SpendError::Full),
        }
    }

    /// Lets it serve once more: the application was not reached.
    pub async fn give_back(&self, digest: SignatureDigest) {
        if let Err(error) = self.store.give_back_signature(digest).await {
            tracing::warn!(%error, "a signature that did not serve stays spent");
        }
    }
}
