//! The `[login]` section: how users may sign in.

use schemars::JsonSchema;
use serde::Deserialize;

/// How people sign in.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct LoginConfig {
    /// The username signs in too, not the e-mail address alone.
    pub username: bool,
    /// People may change their username, a few times. A name that an account had stays its own.
    pub change_username: bool,
    /// Access keys sign in, and sign requests.
    pub iam: bool,
    /// What the link to signing in with an access key says, in every language; "" for "Click to use IAM" with an
    /// explanation beside it.
    pub iam_label: String,
    /// How many access keys an account may have, expired and disabled ones included. Two are needed to replace one
    /// without a gap.
    pub access_keys: usize,
    /// "Forgot password?" An administrator's reset link works regardless.
    pub reset: bool,
}

impl Default for LoginConfig {
    fn default() -> Self {
        Self {
            username: false,
            change_username: false,
            iam: false,
            iam_label: String::new(),
            access_keys: 5,
            reset: true,
        }
    }
}
