//! Opens the configured store.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::owner::{OwnerError, require_owner};
use crate::clock::Clock;
use crate::config::{Config, PostgresTls, PostgresUrl, StoreConfig, StoreLocation, StoreUrlError};
use crate::services::ServicesError;
use crate::store::postgres::{DatabaseServer, DatabaseTls, PostgresStore};
use crate::store::sled::SledStore;
use crate::store::{Import, Salvage, Store, StoreError};

/// Why the store or the services could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// `store.url` is invalid.
    #[error("store.url: {0}")]
    Url(#[from] StoreUrlError),
    /// The store could not be opened.
    #[error("the store in {location} cannot be opened: {error}{}", help(.error))]
    Store {
        /// The location of the store.
        location: StoreLocation,
        /// Why.
        error: StoreError,
    },
    /// Nothing of the store can be read.
    #[error("nothing can be salvaged from {location}: {error}")]
    Unsalvageable {
        /// The location of the store.
        location: StoreLocation,
        /// Why.
        error: StoreError,
    },
    /// The files belong to another user.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The services could not be built.
    #[error(transparent)]
    Services(#[from] ServicesError),
}

/// Opens the store; a large one takes time to read.
pub async fn open_store(config: &StoreConfig, clock: Clock) -> Result<Arc<dyn Store>, OpenError> {
    let location = config.location()?;
    let opened: Result<Arc<dyn Store>, StoreError> = match &location {
        StoreLocation::Sled(folder) => SledStore::open(folder, clock).map(|store| Arc::new(store) as _),
        StoreLocation::Postgres(url) => PostgresStore::open(&server(url), clock)
            .await
            .map(|store| Arc::new(store) as _),
    };
    opened.map_err(|error| OpenError::Store { location, error })
}

/// Starts the import into a store, which must be empty.
pub(super) async fn begin_import(
    location: &StoreLocation,
    clock: Clock,
) -> Result<Box<dyn Import>, StoreError> {
    match location {
        StoreLocation::Sled(folder) => SledStore::begin_import(folder, clock),
        StoreLocation::Postgres(url) => PostgresStore::begin_import(&server(url), clock).await,
    }
}

/// Starts the salvage of a damaged store. `scratch` is a folder with room for a copy of it.
pub async fn salvage_store(config: &Config, scratch: &Path, now: Timestamp) -> Result<Salvage, OpenError> {
    require_owner(config)?;
    let location = config.store.location()?;
    let opened = match &location {
        StoreLocation::Sled(folder) => SledStore::salvage(folder, scratch),
        StoreLocation::Postgres(url) => PostgresStore::salvage(&server(url)).await,
    };
    let from = opened.map_err(|error| OpenError::Unsalvageable { location, error })?;
    Ok(Salvage::new(from, now))
}

/// Advice for a damaged store.
fn help(error: &StoreError) -> &'static str {
    match error {
        StoreError::Corrupt(_) => {
            ". The disk, or a copy of the folder, did not keep what was written. \
             `vestibule store verify` says what of a store that opens is damaged; \
             `vestibule store import BACKUP` makes a new store from a backup, once that folder is moved away; \
             `vestibule store salvage FILE` writes what can still be read to a file that `store import` takes"
        }
        _ => "",
    }
}

/// Returns whether a store was ever created there.
pub async fn is_made(location: &StoreLocation) -> Result<bool, StoreError> {
    match location {
        StoreLocation::Sled(folder) => SledStore::is_made(folder),
        StoreLocation::Postgres(url) => PostgresStore::is_made(&server(url)).await,
    }
}

/// Returns the fingerprint of the master key in use, if it can be read without opening the store, which a
/// running gateway holds open.
pub fn sealing_master_key(location: &StoreLocation) -> Option<String> {
    match location {
        StoreLocation::Sled(folder) => SledStore::sealing_master_key(folder),
        StoreLocation::Postgres(_) => None,
    }
}

/// Fails if a start would refuse this folder for the store. Creates nothing.
pub fn check_store_folder(folder: &Path) -> Result<(), StoreError> {
    SledStore::check(folder)
}

fn server(url: &PostgresUrl) -> DatabaseServer {
    DatabaseServer {
        host: url.host.clone(),
        port: url.port,
        user: url.user.clone(),
        password: url.password.clone(),
        database: url.database.clone(),
        tls: match &url.tls {
            PostgresTls::Off => DatabaseTls::Off,
            PostgresTls::SystemRoots => DatabaseTls::SystemRoots,
            PostgresTls::Roots(file) => DatabaseTls::Roots(file.clone()),
        },
    }
}
