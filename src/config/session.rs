//! The `[session]` section: cookie and lifetimes of sessions.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::HumanDuration;

/// How long a sign-in lasts.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionConfig {
    /// The cookie's name; sent as `__Host-` and this.
    pub cookie_name: String,
    /// A parent domain that all hosts share; the cookie is then `__Secure-` and login happens at `public_url`.
    pub cookie_domain: String,
    /// A session ends when it is not used for so long.
    pub idle: HumanDuration,
    /// A session ends so long after its sign-in, used or not.
    pub absolute: HumanDuration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            cookie_name: "vestibule".to_owned(),
            cookie_domain: String::new(),
            idle: HumanDuration(Duration::from_hours(12)),
            absolute: HumanDuration(Duration::from_hours(7 * 24)),
        }
    }
}
