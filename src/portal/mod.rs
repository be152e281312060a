//! The gateway's own pages: small, server-rendered, complete without JavaScript.
//!
//! A page is a function from a request's head and body to an answer; it asks [`services`](crate::services) and never
//! touches the store or the proxy.
#![allow(
    clippy::todo,
    clippy::unused_async,
    clippy::unused_self,
    clippy::needless_pass_by_value
)]

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};

use crate::config::Config;
use crate::model::Principal;
use crate::refusal::Refusal;
use crate::request::{Host, RequestHead};
use crate::route::Page;
use crate::services::Services;

/// The pages.
#[derive(Debug)]
pub struct Portal {}

/// What the demo shows of the request that reached it.
#[derive(Debug)]
pub struct Admitted<'a> {
    /// Who it comes from.
    pub principal: Option<&'a Principal>,
    /// The headers that an application in the demo's place would have received.
    pub upstream_headers: &'a HeaderMap,
    /// The route that matched, as host and path.
    pub route: String,
    /// The route's policy, as written in the configuration.
    pub allow: &'static str,
}

/// Why the pages cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PortalError {
    /// The logo cannot be used.
    #[error("branding.logo {0}")]
    Logo(String),
    /// A template or text is wrong.
    #[error("{0}")]
    Template(String),
}

impl Portal {
    /// Loads texts, templates and branding. `hosts` are the configured hosts, to which alone a `rd` may lead.
    pub fn new(_config: &Config, _services: Services, _hosts: Vec<Host>) -> Result<Self, PortalError> {
        todo!()
    }

    /// Answers a request to one of the pages. The route has checked the method and the body's size; the page checks the origin.
    pub async fn respond(
        &self,
        _page: Page,
        _head: &RequestHead<'_>,
        _principal: Option<Arc<Principal>>,
        _body: Bytes,
    ) -> Response<Bytes> {
        todo!()
    }

    /// The built-in application `demo:`.
    pub fn demo(&self, _head: &RequestHead<'_>, _admitted: &Admitted<'_>) -> Response<Bytes> {
        todo!()
    }

    /// Turns a refusal into HTTP, the one place that does: a redirect to the login page or a page of its own for a
    /// browser, a problem document (RFC 9457) for a program.
    pub fn refuse(&self, _head: &RequestHead<'_>, _refusal: &Refusal) -> Response<Bytes> {
        todo!()
    }
}
