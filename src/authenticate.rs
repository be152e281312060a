//! Who a request comes from. Absent, wrong and broken never look alike, and broken is never anonymous.

use std::sync::Arc;

use http::HeaderMap;

use crate::services::{LiveSession, Presented, Services};

/// What a scheme says of a request.
#[derive(Debug)]
pub enum Attempt {
    /// The request does not use the scheme.
    NotPresented,
    /// It proves who it comes from.
    Verified(Arc<LiveSession>),
    /// It presents a session that is over, or two: treated as signed out.
    Rejected,
}

/// Asks the schemes, in their fixed order.
#[derive(Clone, Debug)]
pub struct Authenticator {
    services: Services,
}

impl Authenticator {
    /// Over the services.
    pub fn new(services: Services) -> Self {
        Self { services }
    }

    /// By the session's cookie. `use_it` prolongs the session: an application's request does, the gateway's own
    /// pages do not.
    pub fn identify(&self, headers: &HeaderMap, use_it: bool) -> Attempt {
        let digest = match self.services.session_cookie.presented(headers) {
            Presented::None => return Attempt::NotPresented,
            Presented::Several => return Attempt::Rejected,
            Presented::One(digest) => digest,
        };
        let sessions = &self.services.sessions;
        let session = if use_it {
            sessions.find(&digest)
        } else {
            sessions.peek(&digest)
        };
        session.map_or(Attempt::Rejected, Attempt::Verified)
    }
}
