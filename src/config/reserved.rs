//! Reserved keys, for planned features.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};

/// The type of a reserved key: it has no values, so the key is refused whatever is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reserved {}

impl Reserved {
    /// The error message for every reserved key.
    pub(super) const MESSAGE: &str = "is not built yet";
}

impl<'de> Deserialize<'de> for Reserved {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Err(D::Error::custom(Self::MESSAGE))
    }
}

impl JsonSchema for Reserved {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Reserved".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "not": {} })
    }
}
