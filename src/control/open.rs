//! Opening the store that the configuration names.

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

/// Why the store, or what stands on it, cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// `store.url` names no store.
    #[error("store.url: {0}")]
    Url(#[from] StoreUrlError),
    /// The store cannot be opened.
    #[error("the store in {location} cannot be opened: {error}{}", help(.error))]
    Store {
        /// Where it is.
        location: StoreLocation,
        /// Why.
        error: StoreError,
    },
    /// Nothing can be read of the store.
    #[error("nothing can be salvaged from {location}: {error}")]
    Unsalvageable {
        /// Where it is.
        location: StoreLocation,
        /// Why.
        error: StoreError,
    },
    /// The files are another user's.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The services cannot be made.
    #[error(transparent)]
    Services(#[from] ServicesError),
}

/// Opens the store, which may take as long as it takes to read.
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

/// Begins to fill the store that a configuration names, which is empty.
pub(super) async fn begin_import(
    location: &StoreLocation,
    clock: Clock,
) -> Result<Box<dyn Import>, StoreError> {
    match location {
        StoreLocation::Sled(folder) => SledStore::begin_import(folder, clock),
        StoreLocation::Postgres(url) => PostgresStore::begin_import(&server(url), clock).await,
    }
}

/// Begins to take out of the store that a configuration names what can be read of it. `scratch` is a folder with room for a
/// copy of it.
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

/// What helps where a store is damaged.
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

/// Whether a store was ever made there.
pub async fn is_made(location: &StoreLocation) -> Result<bool, StoreError> {
    match location {
        StoreLocation::Sled(folder) => SledStore::is_made(folder),
        StoreLocation::Postgres(url) => PostgresStore::is_made(&server(url)).await,
    }
}

/// The fingerprint of the master key that seals the data key of the store there, if that can be told without opening the
/// store: a gateway that runs has it open.
pub fn sealing_master_key(location: &StoreLocation) -> Option<String> {
    match location {
        StoreLocation::Sled(folder) => SledStore::sealing_master_key(folder),
        StoreLocation::Postgres(_) => None,
    }
}

/// Refuses a folder for the store that a start would refuse. Makes nothing.
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
