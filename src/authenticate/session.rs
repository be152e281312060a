//! The session's cookie.

use std::sync::Arc;

use http::HeaderMap;

use super::{AuthRequirements, Credentials, Proof, SchemeResult, SessionTouch};
use crate::services::{PresentedCookie, Services, SessionCookie, Sessions};

/// Finds the session of a cookie: in memory, without a lock.
#[derive(Debug)]
pub(super) struct SessionScheme {
    cookie: Arc<SessionCookie>,
    sessions: Arc<Sessions>,
}

impl SessionScheme {
    pub(super) fn new(services: &Services) -> Self {
        Self {
            cookie: services.session_cookie.clone(),
            sessions: services.sessions.clone(),
        }
    }

    /// A cookie of a session that is over is as good as none: whoever was signed out may sign in again.
    pub(super) fn attempt(
        &self,
        headers: &HeaderMap,
        requirements: AuthRequirements,
    ) -> SchemeResult<'static> {
        let digest = match self.cookie.presented(headers) {
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
                };
                SchemeResult::Verified(credentials, None)
            }
            None => SchemeResult::NotPresented,
        }
    }
}
