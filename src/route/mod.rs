//! The route stage: finds the route or page of a request.
//!
//! Matches the path as it was sent, byte for byte, and refuses one that some server could read as a path of
//! another route (S43). Query, fragment and `User-Agent` play no part (S44). In Backend.AI's session form the
//! upstream gets another path than was sent; both must take the same route.

mod backendai_session;
mod below;
mod find;
mod methods;
mod page;
mod path;
mod prefixes;
mod read_path;
mod readings;
mod response_headers;
mod shadowed;
mod static_answer;
mod stripped_prefix;
mod table;

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method};

use crate::config::{Allow, Policy, Replay, RouteLimits, RouteTimeouts};

use backendai_session::BackendAiSession;
pub use below::PathRoutesFor;
pub use find::{RouteMatch, Unroutable};
pub use methods::{Methods, SERVED};
pub use page::{AccountPage, AdminPage, Audience, BackendAiPage, Page, may_change};
pub use path::BadPath;
pub use read_path::ReadPath;
pub use readings::MOST as MOST_READINGS;
use response_headers::ResponseHeaders;
pub use shadowed::{ShadowReason, ShadowedRoute};
pub use static_answer::StaticAnswer;
use stripped_prefix::StrippedPrefix;
pub use table::{RouteError, Routes, UpstreamName};

/// One configured route.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the configuration"
)]
pub struct Route {
    pub(super) place: RouteSlot,
    pub(super) label: Arc<str>,
    pub(super) methods: Methods,
    pub(super) policy: Arc<Policy>,
    pub(super) target: RouteTarget,
    /// What it is answered with if it has no upstream.
    pub(super) answer: Option<StaticAnswer>,
    /// Where an answer without an upstream stands in the way of others: the targets of the routes at its path, or at the
    /// nearest one above.
    pub(super) covers: Vec<RouteTarget>,
    pub(super) encoded_slash: bool,
    pub(super) case_sensitive: bool,
    pub(super) preflight: bool,
    pub(super) replay: Replay,
    pub(super) unsigned_payload: bool,
    pub(super) presigned: bool,
    pub(super) maintenance: bool,
    pub(super) response_headers: ResponseHeaders,
    pub(super) preserve_host: bool,
    pub(super) compress: bool,
    strip_prefix: Option<StrippedPrefix>,
    pub(super) timeouts: RouteTimeouts,
    pub(super) limits: RouteLimits,
    pub(super) session_form: Option<BackendAiSession>,
}

/// Where the configuration defines a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteSlot {
    /// Its index among all routes, from 0.
    pub index: usize,
    /// The line on which it begins, from 1; `None` if it is not from a file.
    pub line: Option<usize>,
}

/// The target of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// The built-in demo.
    Demo,
    /// An upstream.
    Upstream(UpstreamId),
    /// None: the gateway answers itself.
    Answer,
}

/// An index into [`Routes::upstreams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpstreamId(usize);

impl UpstreamId {
    /// Returns the index into [`Routes::upstreams`].
    pub fn index(self) -> usize {
        self.0
    }
}

impl Route {
    /// Returns where the configuration defines it.
    pub fn place(&self) -> RouteSlot {
        self.place
    }

    /// Returns its methods.
    pub fn methods(&self) -> &Methods {
        &self.methods
    }

    /// Whether `%2f` in a path is forwarded.
    pub fn encoded_slash(&self) -> bool {
        self.encoded_slash
    }

    /// Whether its upstream's paths are case-sensitive.
    pub fn case_sensitive(&self) -> bool {
        self.case_sensitive
    }

    /// Returns which signatures are single-use.
    pub fn replay(&self) -> Replay {
        self.replay
    }

    /// Whether Backend.AI's session mode is served below it.
    pub fn serves_backendai_session(&self) -> bool {
        self.session_form.is_some()
    }

    /// Returns its host and path, for logs.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Returns who may use it.
    pub fn allow(&self) -> &Allow {
        &self.policy.allow
    }

    /// Returns its policy.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Whether its upstream is told the host that the client asked for, rather than its own.
    pub fn preserves_host(&self) -> bool {
        self.preserve_host
    }

    /// Returns the timeouts of its requests.
    pub fn timeouts(&self) -> RouteTimeouts {
        self.timeouts
    }

    /// Returns the limits of its requests.
    pub fn limits(&self) -> RouteLimits {
        self.limits
    }

    /// Returns what its upstream does not get of the path, as a value of `X-Forwarded-Prefix`.
    pub fn stripped_prefix(&self) -> Option<&HeaderValue> {
        self.strip_prefix.as_ref().map(StrippedPrefix::value)
    }

    /// Returns its target.
    pub fn target(&self) -> RouteTarget {
        self.target
    }

    /// Whether OPTIONS requests need no session.
    pub fn preflight(&self) -> bool {
        self.preflight
    }

    /// Whether the handling of this method may differ from that of another.
    pub fn evaluates_method(&self, method: &Method) -> bool {
        self.replay == Replay::Writes || self.preflight && *method == Method::OPTIONS
    }

    /// Whether the signature of a request with this method is single-use.
    pub fn enforces_single_use(&self, method: &Method) -> bool {
        match self.replay {
            Replay::Off => false,
            Replay::Writes => !method.is_safe(),
            Replay::All => true,
        }
    }

    /// Whether a signature may leave the body unsigned.
    pub fn unsigned_payload(&self) -> bool {
        self.unsigned_payload
    }

    /// Whether presigned URLs are accepted.
    pub fn presigned(&self) -> bool {
        self.presigned
    }

    /// Returns what it is answered with without an upstream.
    pub fn answer(&self) -> Option<&StaticAnswer> {
        self.answer.as_ref()
    }

    /// Returns the targets that its path would lead to without its answer.
    pub fn covers(&self) -> &[RouteTarget] {
        &self.covers
    }

    /// Whether it serves administrators alone for the time being.
    pub fn is_in_maintenance(&self) -> bool {
        self.maintenance
    }

    /// Whether the responses of its upstream are compressed.
    pub fn compresses(&self) -> bool {
        self.compress
    }

    /// Sets and removes headers of a response of its upstream as the configuration says.
    pub fn change_response_headers(&self, headers: &mut HeaderMap) {
        self.response_headers.apply(headers);
    }

    /// Returns the path without `func` of Backend.AI's session form, if it is in that. [`Routes::find`] has checked that it
    /// takes this route too.
    pub fn bare_path<'p>(&self, sent: &'p str) -> Option<Cow<'p, str>> {
        self.session_form.as_ref()?.bare(sent)
    }

    /// Returns the path for the upstream, if it differs from the one sent.
    pub fn upstream_path<'p>(&self, sent: &'p str) -> Option<Cow<'p, str>> {
        self.bare_path(sent)
            .or_else(|| Some(Cow::Borrowed(self.strip_prefix.as_ref()?.strip(sent)?)))
    }
}
