//! The cookie that carries a session.

use http::{HeaderMap, HeaderValue};

use crate::config::SessionConfig;
use crate::model::{PlainToken, TokenDigest};

/// What a request presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// No session cookie, or one that cannot be a token.
    None,
    /// One token.
    One(TokenDigest),
    /// More than one session cookie: treated as signed out, both cleared (S27).
    Several,
}

/// Reads and writes the cookie.
#[derive(Clone, Debug)]
pub struct SessionCookie {}

impl SessionCookie {
    /// The cookie that the configuration describes.
    pub fn new(_config: &SessionConfig) -> Self {
        todo!()
    }

    /// Its whole name.
    pub fn name(&self) -> &str {
        todo!()
    }

    /// The name of the cookie that remembers the chosen language.
    pub fn language_name(&self) -> &str {
        todo!()
    }

    /// What a request presents. On the path of every request: allocates nothing.
    pub fn presented(&self, _headers: &HeaderMap) -> Presented {
        todo!()
    }

    /// `Set-Cookie` for a new session.
    pub fn set(&self, _token: &PlainToken) -> HeaderValue {
        todo!()
    }

    /// `Set-Cookie` that removes it.
    pub fn clear(&self) -> HeaderValue {
        todo!()
    }

    /// Removes the gateway's own cookies from what goes upstream (S33).
    pub fn strip(&self, _headers: &mut HeaderMap) {
        todo!()
    }

    /// Removes an upstream's attempts to set the gateway's own cookies (S33).
    pub fn strip_set(&self, _headers: &mut HeaderMap) {
        todo!()
    }
}
