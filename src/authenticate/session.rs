//! The session scheme: authenticates by the session cookie.

use std::sync::Arc;

use http::HeaderMap;

use super::{AuthRequirements, Credentials, Proof, SchemeResult, SessionTouch};
use crate::services::{GatewayCookies, PresentedCookie, Services, Sessions};

/// Finds the session of a cookie, in memory and without a lock.
#[derive(Debug)]
pub(super) struct SessionScheme {
    cookies: Arc<GatewayCookies>,
    sessions: Arc<Sessions>,
}

impl SessionScheme {
    pub(super) fn new(services: &Services) -> Self {
        Self {
            cookies: services.cookies.clone(),
            sessions: services.sessions.clone(),
        }
    }

    /// Returns the session of the cookie. An ended session counts as no cookie, so that the user can sign in
    /// again.
    pub(super) fn attempt(
        &self,
        headers: &HeaderMap,
        requirements: AuthRequirements,
    ) -> SchemeResult<'static> {
        let digest = match self.cookies.presented_session(headers) {
            PresentedCookie::None => return SchemeResult::NotPresented,
            PresentedCookie::Several => return SchemeResult::SignedOut,
            PresentedCookie::One(digest) => digest,
        };
        if let Err(error) = self.sessions.require_store_lock()
            && !requirements.by_memory
        {
            return SchemeResult::Unavailable(error);
        }
        let session = match requirements.usage {
            SessionTouch::Refresh => self.sessions.find(&digest),
            SessionTouch::ReadOnly => self.sessions.peek(&digest),
        };
        match session {
            Some(session) => {
                let credentials = Credentials {
                    principal: session.principal(),
                    proof: Some(Proof::Session(session)),
                    policies: Vec::new(),
                };
                SchemeResult::Verified(credentials, None)
            }
            None => SchemeResult::NotPresented,
        }
    }
}
