//! Who a request comes from.
//!
//! Schemes are asked in a fixed order. Absent, wrong and broken never look alike: a scheme that was not used lets the
//! next one try, one that was used wrongly ends the matter, and one that cannot tell fails closed.

mod session;
pub mod signature;

use std::sync::Arc;

use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
use crate::request::RequestHead;
use crate::services::{LiveSession, Services};
use crate::store::StoreError;
use session::SessionScheme;

/// What a scheme makes of a request.
#[derive(Debug)]
pub enum Attempt {
    /// The request does not use this scheme: the next one is asked.
    NotPresented,
    /// It does, and proves who it comes from.
    Verified(Credentials),
    /// It carries a cookie that signs nobody in and is to be removed (S27).
    SignedOut,
    /// It uses the scheme wrongly; no other scheme is asked.
    Rejected(Problem),
    /// Whether it does could not be found out; never taken for anonymous.
    Unavailable(StoreError),
}

/// Proof of who a request comes from.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Who.
    pub principal: Arc<Principal>,
    /// The session that proves it: what lasts longer than a request ends with it.
    pub session: Option<Arc<LiveSession>>,
}

/// What all schemes together say.
#[derive(Debug, Default)]
pub struct Identified {
    /// Who, if anybody.
    pub credentials: Option<Credentials>,
    /// The answer removes the session's cookie.
    pub clears_cookie: bool,
}

/// Whether a request keeps a session alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It does.
    Extends,
    /// It only looks: the gateway's own pages that are for everybody.
    Peeks,
}

/// The schemes, in their order.
#[derive(Debug)]
pub struct Authenticator {
    session: SessionScheme,
}

impl Authenticator {
    /// The schemes over these services.
    pub fn new(services: &Services) -> Self {
        Self {
            session: SessionScheme::new(services),
        }
    }

    /// Asks the schemes in their order who a request comes from.
    pub fn identify(&self, head: &RequestHead<'_>, usage: Usage) -> Result<Identified, Refusal> {
        match self.session.attempt(head.headers, usage) {
            Attempt::NotPresented => Ok(Identified::default()),
            Attempt::Verified(credentials) => Ok(Identified {
                credentials: Some(credentials),
                clears_cookie: false,
            }),
            Attempt::SignedOut => Ok(Identified {
                credentials: None,
                clears_cookie: true,
            }),
            Attempt::Rejected(problem) => Err(Refusal::new(problem)),
            Attempt::Unavailable(error) => Err(Refusal::because(Problem::Unavailable, error.to_string())),
        }
    }
}
