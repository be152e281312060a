//! The `[admin]` section: the administrators' group.

use schemars::JsonSchema;
use serde::Deserialize;

/// Who administers the gateway.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// The group of administrators; its last member cannot be disabled, deleted or taken out.
    pub group: String,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            group: "gateway-admin".to_owned(),
        }
    }
}
