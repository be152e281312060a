//! The session's cookie.

use std::sync::Arc;

use http::HeaderMap;

use super::{Attempt, Credentials, Proof, Usage};
use crate::services::{Presented, Services, SessionCookie, Sessions};

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
    pub(super) fn attempt(&self, headers: &HeaderMap, usage: Usage) -> Attempt<'static> {
        let digest = match self.cookie.presented(headers) {
            Presented::None => return Attempt::NotPresented,
            Presented::Several => return Attempt::SignedOut,
            Presented::One(digest) => digest,
        };
        if let Err(error) = self.sessions.require_current() {
            return Attempt::Unavailable(error);
        }
        let session = match usage {
            Usage::Extends => self.sessions.find(&digest),
            Usage::Peeks => self.sessions.peek(&digest),
        };
        match session {
            Some(session) => {
                let credentials = Credentials {
                    principal: session.principal(),
                    proof: Some(Proof::Session(session)),
                };
                Attempt::Verified(credentials, None)
            }
            None => Attempt::NotPresented,
        }
    }
}
