//! What is said of a request.

use serde::{Deserialize, Serialize};

use crate::config::{Allow, Replay};
use crate::model::AccountStatus;
use crate::route::Route;

/// What would become of a request, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The method.
    pub method: String,
    /// The host, in the spelling that is compared.
    pub host: String,
    /// The path, as it is judged: as it was sent.
    pub path: String,
    /// The path of its `Destination`, if policy lets them write there.
    pub destination: Option<String>,
    /// Who asks; none if nobody is signed in.
    pub caller: Option<Caller>,
    /// The route that takes it.
    pub route: Option<RouteView>,
    /// The path of the gateway's own page that takes it.
    pub page: Option<String>,
    /// Routes that fit as well, and why this one goes before them.
    pub passed_over: Vec<ShadowedRouteView>,
    /// What happens.
    pub outcome: ExplainedOutcome,
    /// Why, in words.
    pub reason: String,
    /// What a browser that navigates is answered, unless the request goes on.
    pub to_browser: Option<ResponseSummary>,
    /// What a program is answered, unless the request goes on.
    pub to_program: Option<ResponseSummary>,
    /// What the application gets, if it goes on.
    pub forwarded: Option<ForwardedRequest>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExplainedOutcome {
    /// It goes to the route's application.
    Forwarded,
    /// One of the gateway's own pages answers.
    Page,
    /// It is refused, or a browser is sent elsewhere.
    Refused,
}

/// Whose request it is taken to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Their address.
    pub email: String,
    /// Their username.
    pub username: String,
    /// Their groups.
    pub groups: Vec<String>,
    /// Where the account stands.
    pub status: AccountStatus,
    /// Why they cannot be signed in: the slug. Then the request is nobody's.
    pub shut_out: Option<String>,
}

/// A route, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of the configuration, each by itself"
)]
pub struct RouteView {
    /// Its place among all routes, from 0.
    pub index: usize,
    /// The line on which it begins, from 1.
    pub line: Option<usize>,
    /// Its host and path.
    pub label: String,
    /// Its methods; none if it has all.
    pub methods: Vec<String>,
    /// Who may use it.
    pub allow: Allow,
    /// The application: its name, its URL or `demo:`.
    pub upstream: String,
    /// Where the application listens.
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
}

/// A route that fits as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowedRouteView {
    /// Its place among all routes, from 0.
    pub index: usize,
    /// The line on which it begins, from 1.
    pub line: Option<usize>,
    /// Its host and path.
    pub label: String,
    /// Why it does not take the request.
    pub reason: String,
}

/// An answer of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseSummary {
    /// Its status.
    pub status: u16,
    /// What it refuses: the slug.
    pub slug: Option<String>,
    /// Where it leads to.
    pub location: Option<String>,
    /// Which methods are served.
    pub allow: Option<String>,
}

/// A request as the application gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardedRequest {
    /// Its path and query.
    pub target: String,
    /// The headers that the gateway adds, names and values, sorted. What is secret is not shown.
    pub headers: Vec<(String, String)>,
    /// The headers that a client cannot send: they are removed, or replaced.
    pub removed: Vec<String>,
    /// Headers of the gateway's that a client could forge; always none.
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
            upstream,
            servers,
            replay: route.replay(),
            unsigned_payload: route.unsigned_payload(),
            presigned: route.presigned(),
            preflight: route.preflight(),
            encoded_slash: route.encoded_slash(),
            case_sensitive: route.case_sensitive(),
            backend_ai: route.serves_backendai_session(),
        }
    }
}
