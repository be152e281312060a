//! The `[store]` section: where data is kept, and the master key.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{PostgresTls, PostgresUrl, PostgresUrlError, SecretError, SecretSource};
use crate::secret::Secret;

/// Where accounts and sessions are kept.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sled:` and a folder, or a PostgreSQL database: `postgres://user:password@host:5432/database`. How its server proves
    /// itself follows the `?`: `sslmode=verify-full`, which is the default unless it is on this machine, with
    /// `sslrootcert=FILE` or the system's authorities; or `sslmode=disable`. For a socket: `host=FOLDER`.
    #[schemars(extend("default" = "sled:data/store"))]
    pub url: SecretSource,
    /// The key that encrypts access keys; made at first start. Never inside the store's folder.
    #[schemars(extend("default" = {"file": "certs/master.key"}))]
    pub master_key: SecretSource,
    /// The base of a relative path in `url`.
    #[serde(skip)]
    pub base: PathBuf,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: SecretSource::Text(Secret::new("sled:data/store".to_owned())),
            master_key: SecretSource::File {
                file: PathBuf::from("certs/master.key"),
            },
            base: PathBuf::new(),
        }
    }
}

impl StoreConfig {
    /// Parses `url`.
    pub fn location(&self) -> Result<StoreLocation, StoreUrlError> {
        let url = self.url.resolve()?;
        match url.expose().split_once(':') {
            Some(("sled", "")) => Err(StoreUrlError::NoFolder),
            Some(("sled", folder)) => Ok(StoreLocation::Sled(self.base.join(folder))),
            Some(("postgres" | "postgresql", rest)) => {
                let mut url = PostgresUrl::parse(rest)?;
                if let PostgresTls::Roots(file) = &mut url.tls {
                    *file = self.base.join(&*file);
                }
                Ok(StoreLocation::Postgres(Box::new(url)))
            }
            _ => Err(StoreUrlError::Unknown),
        }
    }
}

/// The location of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// The embedded store in this folder.
    Sled(PathBuf),
    /// A PostgreSQL database.
    Postgres(Box<PostgresUrl>),
}

/// Without any secret.
impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sled(folder) => folder.display().fmt(f),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

/// Why `store.url` is invalid.
#[derive(Debug, thiserror::Error)]
pub enum StoreUrlError {
    /// The secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// `sled:` without a folder.
    #[error("`sled:` is followed by the store's folder")]
    NoFolder,
    /// An invalid database URL.
    #[error(transparent)]
    Postgres(#[from] PostgresUrlError),
    /// Another scheme.
    #[error("not a store: it begins with neither `sled:` nor `postgres:`")]
    Unknown,
}
