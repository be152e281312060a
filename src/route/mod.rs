//! Which route a request takes.
//!
//! The path judged is the path sent: a route is chosen by the raw bytes, and whatever another decoder could take for
//! another route is refused (S43). Query, fragment and `User-Agent` have no part in it (S44).

mod find;
mod methods;
mod page;
mod path;
mod table;

use std::sync::Arc;

use http::Method;

use crate::config::{Allow, Replay};

pub use find::{Found, Unroutable};
pub use methods::Methods;
pub use page::{AccountPage, AdminPage, Audience, Page};
pub use path::BadPath;
pub use table::{RouteError, Routes, UpstreamName};

/// One route of the configuration.
#[derive(Clone, Debug)]
pub struct Route {
    pub(super) label: Arc<str>,
    pub(super) methods: Methods,
    pub(super) allow: Allow,
    pub(super) target: Target,
    pub(super) encoded_slash: bool,
    pub(super) preflight: bool,
    pub(super) replay: Replay,
    pub(super) unsigned_payload: bool,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
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
    /// Its host and path, for people and for the record.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Who may use it.
    pub fn allow(&self) -> &Allow {
        &self.allow
    }

    /// Where it leads.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Whether an OPTIONS request needs no session.
    pub fn preflight(&self) -> bool {
        self.preflight
    }

    /// Whether the signature of a request with this method serves once.
    pub fn spends_signature(&self, method: &Method) -> bool {
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
}
