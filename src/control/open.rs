//! Opening the store that the configuration names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::StoreConfig;
use crate::services::ServicesError;
use crate::store::sled::SledStore;
use crate::store::{Store, StoreError};

/// Why the store, or what stands on it, cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// `store.url` cannot be read.
    #[error("store.url cannot be read: {0}")]
    Url(String),
    /// `store.url` names another kind of store.
    #[error("store.url is not `sled:` and a folder")]
    Kind,
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
    let folder = sled_folder(config)?;
    let store = SledStore::open(&folder, clock).map_err(|error| OpenError::Store { folder, error })?;
    Ok(Arc::new(store))
}

/// The folder of the store.
pub fn sled_folder(config: &StoreConfig) -> Result<PathBuf, OpenError> {
    let url = config
        .url
        .resolve()
        .map_err(|error| OpenError::Url(error.to_string()))?;
    folder_of(url.expose()).map(Path::to_owned).ok_or(OpenError::Kind)
}

fn folder_of(url: &str) -> Option<&Path> {
    let folder = url.strip_prefix("sled:")?;
    (!folder.is_empty()).then(|| Path::new(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_what_follows_sled() {
        assert_eq!(folder_of("sled:data/store"), Some(Path::new("data/store")));
        assert_eq!(folder_of("sled:/var/lib/v"), Some(Path::new("/var/lib/v")));
        assert_eq!(folder_of("sled:"), None);
        assert_eq!(folder_of("postgres://localhost/v"), None);
    }
}
