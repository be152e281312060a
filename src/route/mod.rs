//! Which route a request takes.
//!
//! The path judged is the path sent: a route is chosen by the raw bytes, and what some application could take for a path
//! of another route is refused (S43). Query, fragment and `User-Agent` have no part in it (S44). Where an application
//! gets another path than the one that was sent, in Backend.AI's session form, both are judged and must take one route.

mod backendai_session;
mod below;
mod find;
mod methods;
mod page;
mod path;
mod prefixes;
mod readings;
mod shadowed;
mod table;

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;

use crate::config::{Allow, Replay};

use backendai_session::BackendAiSession;
pub use below::PathRoutesFor;
pub use find::{RouteMatch, Unroutable};
pub use methods::{Methods, SERVED};
pub use page::{AccountPage, AdminPage, Audience, BackendAiPage, Page};
pub use path::BadPath;
pub use readings::{MOST as MOST_READINGS, count as count_readings, others as other_paths};
pub use shadowed::{ShadowReason, ShadowedRoute};
pub use table::{RouteError, Routes, UpstreamName};

/// One route of the configuration.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the configuration"
)]
pub struct Route {
    pub(super) place: RouteSlot,
    pub(super) label: Arc<str>,
    pub(super) methods: Methods,
    pub(super) allow: Allow,
    pub(super) target: RouteTarget,
    pub(super) encoded_slash: bool,
    pub(super) case_sensitive: bool,
    pub(super) preflight: bool,
    pub(super) replay: Replay,
    pub(super) unsigned_payload: bool,
    pub(super) presigned: bool,
    pub(super) session_form: Option<BackendAiSession>,
}

/// Where a route stands in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteSlot {
    /// Which of all routes, from 0.
    pub index: usize,
    /// The line on which it begins, from 1, if it comes from a file.
    pub line: Option<usize>,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// The built-in application.
    Demo,
    /// An application behind the gateway.
    Upstream(UpstreamId),
}

/// An application, by its place in [`Routes::upstreams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpstreamId(usize);

impl UpstreamId {
    /// Its place in [`Routes::upstreams`].
    pub fn index(self) -> usize {
        self.0
    }
}

impl Route {
    /// Where it stands in the configuration.
    pub fn place(&self) -> RouteSlot {
        self.place
    }

    /// Its methods.
    pub fn methods(&self) -> &Methods {
        &self.methods
    }

    /// Whether `%2f` in a path is passed on.
    pub fn encoded_slash(&self) -> bool {
        self.encoded_slash
    }

    /// Whether its application tells paths apart by case.
    pub fn case_sensitive(&self) -> bool {
        self.case_sensitive
    }

    /// Which signatures serve only once.
    pub fn replay(&self) -> Replay {
        self.replay
    }

    /// Whether Backend.AI's session form is served under it.
    pub fn serves_backendai_session(&self) -> bool {
        self.session_form.is_some()
    }

    /// Its host and path, for people and for the record.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Who may use it.
    pub fn allow(&self) -> &Allow {
        &self.allow
    }

    /// Where it leads.
    pub fn target(&self) -> RouteTarget {
        self.target
    }

    /// Whether an OPTIONS request needs no session.
    pub fn preflight(&self) -> bool {
        self.preflight
    }

    /// Whether what becomes of a request with this method depends on the method.
    pub fn evaluates_method(&self, method: &Method) -> bool {
        self.replay == Replay::Writes || self.preflight && *method == Method::OPTIONS
    }

    /// Whether the signature of a request with this method serves once.
    pub fn enforces_single_use(&self, method: &Method) -> bool {
        match self.replay {
            Replay::Off => false,
            Replay::Writes => !method.is_safe(),
            Replay::All => true,
        }
    }

    /// Whether a signed request may leave its body unsigned.
    pub fn unsigned_payload(&self) -> bool {
        self.unsigned_payload
    }

    /// Whether a request may be signed in its query.
    pub fn presigned(&self) -> bool {
        self.presigned
    }

    /// The path that the application is asked for, where that is not the one that was sent: without the `func` of
    /// Backend.AI's session form. [`Routes::find`] has seen that this very route would take it as well.
    pub fn bare_path<'p>(&self, sent: &'p str) -> Option<Cow<'p, str>> {
        self.session_form.as_ref()?.bare(sent)
    }
}
