//! The `[identity]` section: which identity headers every upstream gets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which headers tell an application who somebody is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityConfig {
    /// A set of header names.
    pub preset: IdentityPreset,
    /// Headers to add or replace, with the placeholders `{id} {username} {email} {name} {groups} {session} {method}`,
    /// `{host}` (host and port that were asked for) and `{public_url}`; `{{` and `}}` stand for the braces themselves. An empty value: no header.
    /// Values are UTF-8; `{name:ascii}` is without accents, with `?` for other characters, and `{name:percent}`, `{email:percent}` and
    /// `{groups:percent}` are percent-encoded.
    pub headers: BTreeMap<String, String>,
}

/// A set of header names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityPreset {
    /// `Remote-User`, `Remote-Email`, `Remote-Name`, `Remote-Groups`.
    #[default]
    Remote,
    /// `X-Forwarded-User`, `X-Forwarded-Email`, `X-Forwarded-Groups`, `X-Forwarded-Preferred-Username`.
    XForwarded,
    /// None.
    None,
}
