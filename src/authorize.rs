//! Whether a request may pass, and the proof that it may.

use std::sync::Arc;

use http::Method;

use crate::authenticate::Attempt;
use crate::config::Allow;
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
use crate::route::Route;
use crate::services::LiveSession;

/// Proof that policy admitted a request. Only [`permit`] makes one, and the upstream and its identity headers are
/// derived from it alone.
#[derive(Debug)]
pub struct Permit {
    route: Arc<Route>,
    session: Option<Arc<LiveSession>>,
}

impl Permit {
    /// The route that it is for.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The session whose end ends what is forwarded.
    pub fn session(&self) -> Option<&Arc<LiveSession>> {
        self.session.as_ref()
    }

    /// Whose identity is forwarded; nobody's on a public route.
    pub fn principal(&self) -> Option<Arc<Principal>> {
        self.session.as_ref().map(|session| session.principal())
    }
}

/// Judges a request by its route's policy.
pub fn permit(attempt: Attempt, route: Arc<Route>, method: &Method) -> Result<Permit, Refusal> {
    let session = match attempt {
        Attempt::Verified(session) => Some(session),
        Attempt::NotPresented | Attempt::Rejected => None,
    };
    let preflight = route.preflight && method == Method::OPTIONS;
    let session = match (&route.allow, session) {
        (Allow::Public, _) => None,
        (Allow::Optional, session) => session,
        (Allow::Authenticated, Some(session)) => Some(session),
        (Allow::Groups(groups), Some(session)) => {
            let principal = session.principal();
            if !groups.iter().any(|group| principal.groups.contains(group)) {
                return Err(Refusal::new(Problem::Forbidden));
            }
            Some(session)
        }
        (Allow::Authenticated | Allow::Groups(_), None) if preflight => None,
        (Allow::Authenticated | Allow::Groups(_), None) => {
            return Err(Refusal::new(Problem::NotAuthenticated));
        }
    };
    Ok(Permit { route, session })
}
