//! The `[[route]]` sections: which requests go to which upstream, and who may make them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Conditions, HostPattern, Policy, Reserved, RouteLimits, RouteTimeouts, UpstreamTarget, UpstreamUrlError,
};
use crate::request::{Host, HostError};

/// Which requests go where, and who may make them.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct RouteConfig {
    /// The host, or `*.` and a domain for all hosts below it. Default: the host of `public_url`.
    #[schemars(extend("examples" = ["console.example.com"]))]
    pub host: Option<String>,
    /// The beginning of the path, on segment borders: `/a` is `/a` and `/a/b`, not `/ab`. The longest one wins.
    pub path: String,
    /// The methods. Default: all.
    pub methods: Vec<String>,
    /// Who may use it.
    #[schemars(extend("examples" = ["authenticated", {"groups": ["ops"], "networks": ["10.0.0.0/8"]}]))]
    pub allow: Allow,
    /// Who may not, before `allow` is looked at: whoever meets all that is given of `{ groups, users, networks }`. Users are
    /// named by usernames.
    #[schemars(extend("examples" = [{"groups": ["guests"]}]))]
    pub deny: Option<Conditions>,
    /// Where to: the name of an upstream, a URL, or "demo:". Required, unless `redirect` or `respond` is given.
    #[schemars(extend("examples" = ["console"], "default" = null))]
    pub upstream: String,
    /// Instead of an upstream: the URL, or the path on the same host, that a redirect leads to (302; 307 for methods other than
    /// GET and HEAD).
    #[schemars(extend("examples" = ["https://docs.example.com/"]))]
    pub redirect: Option<String>,
    /// Instead of an upstream: a text that the gateway answers with.
    #[schemars(extend("examples" = [{"text": "User-agent: *\nDisallow: /\n"}]))]
    pub respond: Option<Respond>,
    /// The application is told the host that the client asked for, in `Host`. Otherwise it is told the host and port of its
    /// own URL, for applications that answer to no other; the client's host is in `X-Forwarded-Host` either way.
    pub preserve_host: bool,
    /// What the application does not get of the path: with `true`, the route's `path`; or the beginning of that, such as
    /// "/app". It is told it in `X-Forwarded-Prefix`, to build its links with.
    #[schemars(extend("examples" = [true, "/app"]))]
    pub strip_prefix: StripPrefix,
    /// `%2f` in a path is passed on instead of refused.
    pub encoded_slash: bool,
    /// The application tells paths apart by case: `/ADMIN` may pass here where `/admin` is another route's. Otherwise a
    /// path that is another route's but for its case is refused, as applications and file systems that ignore case would
    /// serve it.
    pub case_sensitive: bool,
    /// A CORS preflight (OPTIONS with `Origin` and `Access-Control-Request-Method`) needs no session.
    pub preflight: bool,
    /// Which signatures serve only once.
    pub replay: Replay,
    /// Signed requests may leave their body unsigned.
    pub unsigned_payload: bool,
    /// A request may be signed in its query: whoever has the URL makes it on behalf of who signed it.
    pub presigned: bool,
    /// The application is under maintenance: only administrators reach it, and others get 503 with a page that says so.
    pub maintenance: bool,
    /// Headers of the application's responses: each is set to a value, instead of the application's, or removed by an empty one.
    #[schemars(extend("examples" = [{"X-Frame-Options": "DENY", "Server": ""}]))]
    pub response_headers: BTreeMap<String, String>,
    /// Responses are compressed (zstd, gzip or br) for clients that take it. Not where responses have secrets beside what others
    /// can make clients send: see "Compression" in the manual.
    pub compress: bool,
    /// Timeouts of its requests: `response` and `idle`, instead of those of the upstream or of `[timeouts]`.
    #[schemars(extend("examples" = [{"response": "5m"}]))]
    pub timeouts: RouteTimeouts,
    /// Limits of its requests: `request_body`, instead of that of the upstream or of `[limits]`; `address_rate` and `user_rate`,
    /// instead of those of `[limits]`, for the requests to this route alone.
    #[schemars(extend("examples" = [{"request_body": "10MiB"}]))]
    pub limits: RouteLimits,
    /// Serves the clients of another gateway too. "backend.ai": those of Backend.AI in session mode, which sign in at
    /// `server/login` under the route's path, and send everything else under its `func`.
    #[schemars(extend("examples" = ["backend.ai"]))]
    pub compat: Option<Compat>,
    /// Identity as a signed token. Not built yet.
    pub assertion: Option<Reserved>,
    /// Where the file defines it.
    #[serde(skip)]
    pub line: ConfigLine,
}

/// The line on which a route begins, from 1; `None` without a file. All values compare equal, so that moving
/// a route is no change of the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConfigLine(pub Option<usize>);

impl PartialEq for ConfigLine {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self {
            host: None,
            path: "/".to_owned(),
            methods: Vec::new(),
            allow: Allow::default(),
            deny: None,
            upstream: String::new(),
            redirect: None,
            respond: None,
            preserve_host: true,
            strip_prefix: StripPrefix::default(),
            encoded_slash: false,
            case_sensitive: false,
            preflight: false,
            replay: Replay::Off,
            unsigned_payload: false,
            presigned: true,
            maintenance: false,
            response_headers: BTreeMap::new(),
            compress: false,
            timeouts: RouteTimeouts::default(),
            limits: RouteLimits::default(),
            compat: None,
            assertion: None,
            line: ConfigLine::default(),
        }
    }
}

impl RouteConfig {
    /// Returns its host pattern; `public` is the host of `public_url`. Never fails after
    /// [`Config::load`](super::Config::load).
    pub fn host_pattern(&self, public: &Host) -> Result<HostPattern, HostError> {
        match &self.host {
            Some(host) => host.parse(),
            None => Ok(HostPattern::Exact(public.clone())),
        }
    }

    /// Returns its label for logs and scopes of access keys: host and path.
    pub fn label(&self, public: &Host) -> Result<String, HostError> {
        Ok(self.label_at(&self.host_pattern(public)?))
    }

    /// Returns the label for a host pattern that is already parsed.
    pub fn label_at(&self, hosts: &HostPattern) -> String {
        let path = self.path.trim_end_matches('/');
        format!("{hosts}{path}{}", if path.is_empty() { "/" } else { "" })
    }

    /// The conditions of its policy, each with its key.
    pub fn conditions(&self) -> impl Iterator<Item = (&'static str, &Conditions)> {
        let allowed = match &self.allow {
            Allow::Conditions(conditions) => Some(conditions),
            _ => None,
        };
        let allowed = allowed.map(|conditions| ("allow", conditions));
        allowed
            .into_iter()
            .chain(self.deny.iter().map(|conditions| ("deny", conditions)))
    }

    /// Returns its policy.
    pub fn policy(&self) -> Policy {
        Policy {
            allow: self.allow.clone(),
            deny: self.deny.clone(),
        }
    }

    /// Returns its target. Never fails after [`Config::load`](super::Config::load), which also checks that a
    /// named upstream exists.
    pub fn target(&self) -> Result<UpstreamTarget<'_>, UpstreamUrlError> {
        UpstreamTarget::parse(&self.upstream)
    }
}

/// What is stripped of the path of a route's requests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "neither true nor false, nor a path such as \"/app\"")]
pub enum StripPrefix {
    /// The route's path, or nothing.
    Own(bool),
    /// This beginning of the route's path.
    Path(String),
}

impl Default for StripPrefix {
    fn default() -> Self {
        Self::Own(false)
    }
}

impl StripPrefix {
    /// Returns what is stripped of a route with this path, without a final slash; `None` if nothing is.
    pub fn of<'p>(&'p self, path: &'p str) -> Option<&'p str> {
        let stripped = match self {
            Self::Own(false) => return None,
            Self::Own(true) => path,
            Self::Path(prefix) => prefix,
        };
        Some(stripped.trim_end_matches('/')).filter(|stripped| !stripped.is_empty())
    }
}

/// A text that the gateway answers with, as `text/plain`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Respond {
    /// The status: 2xx, 4xx or 5xx.
    pub status: u16,
    /// The text.
    pub text: String,
}

impl Default for Respond {
    fn default() -> Self {
        Self {
            status: 200,
            text: String::new(),
        }
    }
}

/// Who may use a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allow {
    /// Everybody; no identity is forwarded.
    Public,
    /// Everybody; the identity of whoever is signed in is forwarded.
    Optional,
    /// Whoever is signed in.
    #[default]
    Authenticated,
    /// Whoever is signed in and meets these: `{ groups = ["ops"] }`.
    Conditions(Conditions),
}

impl From<Conditions> for Allow {
    fn from(conditions: Conditions) -> Self {
        Self::Conditions(conditions)
    }
}

impl Allow {
    const WORDS: [(&str, Self); 3] = [
        ("public", Self::Public),
        ("optional", Self::Optional),
        ("authenticated", Self::Authenticated),
    ];

    /// What kind it is, for those whom its conditions are no business of.
    pub fn kind(&self) -> &'static str {
        let known = Self::WORDS.iter().find(|(_, known)| known == self);
        known.map_or("conditions", |(word, _)| word)
    }
}

/// By a visitor: an error in the table is one of its key, and names the keys that there are.
impl<'de> Deserialize<'de> for Allow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllowVisitor;

        impl<'de> Visitor<'de> for AllowVisitor {
            type Value = Allow;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"public\", \"optional\", \"authenticated\" or { groups, users, networks }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Allow, E> {
                let known = Allow::WORDS.into_iter().find(|(word, _)| *word == text);
                known
                    .map(|(_, allow)| allow)
                    .ok_or_else(|| E::unknown_variant(text, &["public", "optional", "authenticated"]))
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Allow, A::Error> {
                Conditions::deserialize(MapAccessDeserializer::new(table)).map(Allow::Conditions)
            }
        }

        deserializer.deserialize_any(AllowVisitor)
    }
}

impl Serialize for Allow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Conditions(conditions) => conditions.serialize(serializer),
            allow => serializer.serialize_str(allow.kind()),
        }
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conditions(conditions) => conditions.fmt(f),
            allow => f.write_str(allow.kind()),
        }
    }
}

impl JsonSchema for Allow {
    fn schema_name() -> Cow<'static, str> {
        "Allow".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut conditions = generator.subschema_for::<Conditions>();
        let described = "Whoever is signed in and meets all that is given: `{ groups = [\"ops\"], users = […], networks = […] }`.";
        conditions.insert("description".to_owned(), described.into());
        json_schema!({
            "description": "Who may use a route.",
            "oneOf": [
                {"description": "Everybody; no identity is forwarded.", "type": "string", "const": "public"},
                {
                    "description": "Everybody; the identity of whoever is signed in is forwarded.",
                    "type": "string",
                    "const": "optional"
                },
                {"description": "Whoever is signed in.", "type": "string", "const": "authenticated"},
                conditions
            ]
        })
    }
}

/// Another gateway, whose clients are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Compat {
    /// The web server of Backend.AI.
    #[serde(rename = "backend.ai")]
    BackendAi,
}

/// Which signatures of signed requests serve only once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Replay {
    /// None.
    #[default]
    Off,
    /// Those of methods that change something.
    Writes,
    /// All.
    All,
}
