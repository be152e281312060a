//! `[[route]]`.

use schemars::JsonSchema;
use serde::Deserialize;

/// Which requests go where, and who may make them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// The host, `*.` and a domain for all hosts below it. Default: the host of `public_url`.
    #[serde(default)]
    pub host: Option<String>,
    /// The beginning of the path, on segment borders: `/a` is `/a` and `/a/b`, not `/ab`.
    #[serde(default = "root")]
    pub path: String,
    /// The methods. Default: all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Who may: "public", "optional", "authenticated", or `{ groups = ["ops"] }`.
    #[serde(default)]
    pub allow: Allow,
    /// Where to: the name of an upstream, a URL, or "demo:".
    pub upstream: String,
    /// `%2f` in a path is passed on instead of refused.
    #[serde(default)]
    pub encoded_slash: bool,
    /// An OPTIONS request without a session is passed on (CORS preflight).
    #[serde(default)]
    pub preflight: bool,
}

fn root() -> String {
    "/".to_owned()
}

/// Who may use a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Allow {
    /// Everybody; no identity is forwarded.
    Public,
    /// Everybody; the identity of whoever is signed in is forwarded.
    Optional,
    /// Whoever is signed in.
    #[default]
    Authenticated,
    /// Whoever is signed in and in one of these groups.
    Groups(Vec<String>),
}
