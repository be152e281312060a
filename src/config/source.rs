//! Secrets of the configuration, which need not stand in it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::secret::Secret;

/// A secret: as text, or where to find it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SecretSource {
    /// The secret itself.
    Text(#[schemars(with = "String")] Secret<String>),
    /// The file that holds it; a final line break is dropped.
    File {
        /// The file's path.
        file: PathBuf,
    },
    /// The environment variable that holds it.
    Env {
        /// The variable's name.
        env: String,
    },
}
