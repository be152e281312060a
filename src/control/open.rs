//! Opening the store that the configuration names.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::{StoreConfig, StoreLocation, StoreUrlError};
use crate::services::ServicesError;
use crate::store::sled::SledStore;
use crate::store::{Store, StoreError};

/// Why the store, or what stands on it, cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// `store.url` names no store.
    #[error("store.url: {0}")]
    Url(#[from] StoreUrlError),
    /// The store cannot be opened.
    #[error("the store in {folder} cannot be opened: {error}", folder = .folder.display())]
    Store {
        /// Where it lies.
        folder: PathBuf,
        /// Why.
        error: StoreError,
    },
    /// The services cannot be made.
    #[error(transparent)]
    Services(#[from] ServicesError),
}

/// Opens the store; blocks until it is read.
pub fn open_store(config: &StoreConfig, clock: Clock) -> Result<Arc<dyn Store>, OpenError> {
    let StoreLocation::Sled(folder) = config.location()?;
    match SledStore::open(&folder, clock) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(OpenError::Store { folder, error }),
    }
}
