//! The report of an explanation, as the admin socket and `--json` give it.

use serde::{Deserialize, Serialize};

use crate::config::{Allow, Conditions, Replay};
use crate::model::AccountStatus;
use crate::route::Route;

/// What would happen to a request, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The method.
    pub method: String,
    /// The host, in normalized spelling.
    pub host: String,
    /// The path as it was sent; policy evaluates it in this form.
    pub path: String,
    /// The path of `Destination`, if policy admits writing there.
    pub destination: Option<String>,
    /// The caller; `None` for an anonymous request.
    pub caller: Option<Caller>,
    /// The route that matches.
    pub route: Option<RouteView>,
    /// The path of the gateway's own page that matches.
    pub page: Option<String>,
    /// Other routes that match, and why this one takes precedence.
    pub passed_over: Vec<ShadowedRouteView>,
    /// The outcome.
    pub outcome: ExplainedOutcome,
    /// Why, as a sentence.
    pub reason: String,
    /// The response to a browser's navigation, unless the request is forwarded.
    pub to_browser: Option<ResponseSummary>,
    /// The response to a program, unless the request is forwarded.
    pub to_program: Option<ResponseSummary>,
    /// The request that the application receives, if it is forwarded.
    pub forwarded: Option<ForwardedRequest>,
    /// Further notes.
    pub notes: Vec<String>,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExplainedOutcome {
    /// Forwarded to the route's application.
    Forwarded,
    /// Handled by one of the gateway's own pages.
    Page,
    /// Refused, or redirected.
    Refused,
}

/// The account that the request is attributed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Its e-mail address.
    pub email: String,
    /// Its username.
    pub username: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Its status.
    pub status: AccountStatus,
    /// Why it cannot sign in: the slug. The request is then anonymous.
    pub shut_out: Option<String>,
}

/// A configured route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of the configuration, each by itself"
)]
pub struct RouteView {
    /// Its index among all routes, from 0.
    pub index: usize,
    /// The line of the configuration file on which it begins, from 1.
    pub line: Option<usize>,
    /// Its host and path.
    pub label: String,
    /// Its methods; empty if it takes all.
    pub methods: Vec<String>,
    /// Who may use it.
    pub allow: Allow,
    /// Who may not, whatever `allow` says.
    #[serde(default)]
    pub deny: Option<Conditions>,
    /// The upstream: its name, its URL or `demo:`.
    pub upstream: String,
    /// The servers of the upstream.
    pub servers: Vec<String>,
    /// `replay`
    pub replay: Replay,
    /// `unsigned_payload`
    pub unsigned_payload: bool,
    /// `presigned`
    pub presigned: bool,
    /// `preflight`
    pub preflight: bool,
    /// `encoded_slash`
    pub encoded_slash: bool,
    /// `case_sensitive`
    pub case_sensitive: bool,
    /// Whether `compat = "backend.ai"` is set.
    pub backend_ai: bool,
    /// Whether it serves administrators alone for the time being.
    #[serde(default)]
    pub maintenance: bool,
}

/// A route that matches but does not take the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowedRouteView {
    /// Its index among all routes, from 0.
    pub index: usize,
    /// The line of the configuration file on which it begins, from 1.
    pub line: Option<usize>,
    /// Its host and path.
    pub label: String,
    /// Why it does not take the request.
    pub reason: String,
}

/// A response of the gateway, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseSummary {
    /// The status.
    pub status: u16,
    /// The slug of the refusal.
    pub slug: Option<String>,
    /// The `Location` header.
    pub location: Option<String>,
    /// The `Allow` header.
    pub allow: Option<String>,
}

/// A request as the application receives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardedRequest {
    /// Path and query.
    pub target: String,
    /// The headers that the gateway adds, sorted by name. Secret values are masked.
    pub headers: Vec<(String, String)>,
    /// The header names that a client cannot forge: the gateway removes or replaces them.
    pub removed: Vec<String>,
    /// Reserved header names that a client could forge; always empty.
    pub forgeable: Vec<String>,
}

impl RouteView {
    pub(super) fn of(route: &Route, upstream: String, servers: Vec<String>) -> Self {
        let place = route.place();
        Self {
            index: place.index,
            line: place.line,
            label: route.label().to_string(),
            methods: route.methods().names().into_iter().map(str::to_owned).collect(),
            allow: route.allow().clone(),
            deny: route.policy().deny.clone(),
            upstream,
            servers,
            replay: route.replay(),
            unsigned_payload: route.unsigned_payload(),
            presigned: route.presigned(),
            preflight: route.preflight(),
            encoded_slash: route.encoded_slash(),
            case_sensitive: route.case_sensitive(),
            backend_ai: route.serves_backendai_session(),
            maintenance: route.is_in_maintenance(),
        }
    }
}
