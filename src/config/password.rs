//! The `[password]` section: password policy and hashing cost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a password must be, and how it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordConfig {
    /// What a new password must be.
    pub policy: PasswordPolicyName,
    /// bcrypt's cost, 10 to 16: each step doubles the time of a login.
    pub bcrypt_cost: u32,
}

impl Default for PasswordConfig {
    fn default() -> Self {
        Self {
            policy: PasswordPolicyName::Classic,
            bcrypt_cost: 12,
        }
    }
}

/// What a new password must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PasswordPolicyName {
    /// 8 or more characters, among them a letter, a digit and a special one.
    Classic,
    /// 15 or more characters of any kind (NIST SP 800-63B-4, section 3.1.1.2).
    Nist,
}
