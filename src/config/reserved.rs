//! Keys whose names are taken for what is still to come.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};

/// The value of a key that is not built yet: there is none, so the key is refused wherever it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reserved {}

impl Reserved {
    /// What is said of everything that is not built yet.
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
        "NotBuilt".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "not": {} })
    }
}
