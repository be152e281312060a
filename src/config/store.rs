//! `[store]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{NotBuilt, SecretError, SecretSource};
use crate::secret::Secret;

/// Where accounts and sessions are kept.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sled:` and a folder. `postgres://` is not built yet.
    #[schemars(extend("default" = "sled:data/store"))]
    pub url: SecretSource,
    /// The key that encrypts access keys; made at first start. Never inside the store's folder.
    #[schemars(extend("default" = {"file": "certs/master.key"}))]
    pub master_key: SecretSource,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: SecretSource::Text(Secret::new("sled:data/store".to_owned())),
            master_key: SecretSource::File {
                file: PathBuf::from("certs/master.key"),
            },
        }
    }
}

impl StoreConfig {
    /// Where `url` says that the store is.
    pub fn location(&self) -> Result<StoreLocation, StoreUrlError> {
        let url = self.url.resolve()?;
        match url.expose().split_once(':') {
            Some(("sled", "")) => Err(StoreUrlError::NoFolder),
            Some(("sled", folder)) => Ok(StoreLocation::Sled(PathBuf::from(folder))),
            Some(("postgres" | "postgresql", _)) => Err(StoreUrlError::Postgres),
            _ => Err(StoreUrlError::Unknown),
        }
    }
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// The embedded store in this folder.
    Sled(PathBuf),
}

/// Why `store.url` names no store.
#[derive(Debug, thiserror::Error)]
pub enum StoreUrlError {
    /// It cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// `sled:` and nothing.
    #[error("`sled:` is followed by the store's folder")]
    NoFolder,
    /// A database server.
    #[error("a store in PostgreSQL {}", NotBuilt::MESSAGE)]
    Postgres,
    /// Something else.
    #[error("not a store: it does not begin with `sled:`")]
    Unknown,
}
