//! The `[signup]` section: who may create accounts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may make an account.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SignupConfig {
    /// Whether people may make accounts themselves.
    pub mode: SignupMode,
    /// An administrator approves every new account first.
    pub approval: bool,
    /// A mailed link proves the address first.
    pub verify_email: bool,
    /// Address of the terms of service; when set, they are linked and must be agreed to.
    pub terms_url: String,
    /// Address of the privacy notice; when set, it is linked and must be agreed to.
    pub privacy_url: String,
    /// A new value asks everybody to agree again at the next login.
    pub terms_version: String,
    /// Usernames that nobody can choose.
    pub reserved_usernames: Vec<String>,
}

impl Default for SignupConfig {
    fn default() -> Self {
        Self {
            mode: SignupMode::Closed,
            approval: false,
            verify_email: false,
            terms_url: String::new(),
            privacy_url: String::new(),
            terms_version: String::new(),
            reserved_usernames: ["admin", "administrator", "root", "system", "guest", "anonymous"]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

/// Whether people may make accounts themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignupMode {
    /// Nobody; the operator adds accounts.
    Closed,
    /// Whoever has an invitation.
    Invite,
    /// Everybody.
    Open,
}
