//! `[store]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::SecretSource;
use crate::secret::Secret;

/// Where accounts and sessions are kept.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sled:` and a folder.
    pub url: SecretSource,
    /// The key that encrypts access keys; made at first start. Never inside the store's folder.
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
