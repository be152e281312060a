//! The gateway's pages: server-rendered, complete without JavaScript.
//!
//! Each page's file has a `get` and a `post`, functions of a `PageContext` that call
//! [`services`](crate::services) and never touch the store or the proxy. Functions that need no service
//! render what a page shows.

mod account;
mod admin;
mod assets;
mod backendai_session;
mod demo;
mod error_response;
mod flash;
mod forgot;
mod form_errors;
mod forms;
mod grpc;
mod login;
mod login_access_key;
mod logout;
mod page_context;
mod problem_pages;
mod reauthenticate;
mod renderer;
mod request_context;
mod request_lookup;
mod reset;
mod response;
mod return_to;
mod security_headers;
mod session_list;
mod signed_in;
mod signup;
mod template_check;
mod template_context;
mod templates;
mod user_agent;
mod userinfo;
mod verify;
mod www_authenticate;

#[cfg(test)]
mod page_tests;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};

pub use self::request_lookup::RequestLookup;
pub use self::template_check::TemplateWarning;
pub use self::templates::built_in as built_in_templates;

use self::forms::Fields;
use self::page_context::{PageContext, PageResult};
use self::renderer::PageRenderer;
use self::request_context::{RequestContext, ResponseFormat};
use crate::config::{Config, HostPattern};
use crate::model::{AuditDetail, DetailKey, Principal};
use crate::refusal::{Problem, Refusal};
use crate::request::{RequestHead, require_same_origin};
use crate::route::Page;
use crate::services::{ActiveSession, Event, Kind, MailError, Services};
use crate::text::TextError;

/// Serves the pages, and turns refusals into responses.
#[derive(Debug)]
pub struct Portal {
    renderer: PageRenderer,
    services: Services,
    requests: Arc<dyn RequestLookup>,
}

/// The client of a page.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// The user, if signed in.
    pub principal: Option<&'a Principal>,
    /// The user's session, if one authenticates the request.
    pub session: Option<&'a ActiveSession>,
}

/// What the demo shows of the request that reached it.
#[derive(Debug)]
pub struct DemoRequest<'a> {
    /// Its user.
    pub visitor: Visitor<'a>,
    /// The headers that an upstream would have received.
    pub upstream_headers: &'a HeaderMap,
    /// The route that matched, as host and path.
    pub route: String,
    /// The kind of the route's policy.
    pub allow: &'static str,
}

/// Why the pages cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum PortalError {
    /// The logo is unusable.
    #[error("branding.logo {0}")]
    Logo(String),
    /// A template is invalid.
    #[error("{0}")]
    Template(String),
    /// A template of the operator's is wrong.
    #[error("{message}")]
    OwnTemplate {
        /// The file.
        file: PathBuf,
        /// The line in it, from 1.
        line: Option<usize>,
        /// What is wrong.
        message: String,
    },
    /// The templates or texts of mails are invalid.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// A text is invalid.
    #[error(transparent)]
    Text(#[from] TextError),
}

impl Portal {
    /// Loads texts, templates and branding. `hosts` are the configured hosts, the only ones to which a `rd`
    /// may lead; `requests` finds past requests.
    pub fn new(
        config: &Config,
        services: Services,
        hosts: Vec<HostPattern>,
        requests: Arc<dyn RequestLookup>,
    ) -> Result<Self, PortalError> {
        let renderer = PageRenderer::new(config, hosts)?;
        for warning in template_check::run(&renderer, config)? {
            tracing::warn!("branding.folder: {}", warning.message);
        }
        Ok(Self {
            renderer,
            services,
            requests,
        })
    }

    /// Renders all pages and mails with the operator's templates and texts; returns warnings.
    pub fn check(config: &Config) -> Result<Vec<TemplateWarning>, PortalError> {
        template_check::run(&PageRenderer::new(config, Vec::new())?, config)
    }

    /// Serves a page. The route has checked the method and the size of the body; the origin is checked here.
    pub async fn respond(
        &self,
        page: Page,
        head: &RequestHead<'_>,
        visitor: Visitor<'_>,
        body: Bytes,
    ) -> Response<Bytes> {
        let mut request = self.renderer.request(head);
        if matches!(page, Page::SessionForm(_)) {
            request.wants = ResponseFormat::Json;
        }
        let cx = PageContext {
            request,
            services: &self.services,
            requests: &*self.requests,
            visitor,
        };
        let response = match read_form(&request, &body) {
            Ok(fields) => dispatch(page, &cx, fields).await,
            Err(refusal) => {
                // Another site asks for it in an administrator's session. A malformed form names no act.
                if let (Page::Admin(_), Problem::CrossOrigin, Some(who)) =
                    (page, refusal.problem, visitor.principal)
                {
                    self.note_denied(head, who, refusal.problem);
                }
                Err(refusal.into())
            }
        };
        response.unwrap_or_else(|error| error.into_response(&request))
    }

    /// Audits that a user without the right asked for a page or an act of administration.
    pub fn note_denied(&self, head: &RequestHead<'_>, who: &Principal, problem: Problem) {
        let event = Event::failure(Kind::AdminDenied, who.email.as_str(), problem.slug())
            .account(who.account)
            .detail(AuditDetail::of(DetailKey::Page, head.path));
        self.services
            .audit
            .note(&self.renderer.request(head).origin(), &event);
    }

    /// Serves the built-in upstream `demo:`.
    pub fn demo(&self, head: &RequestHead<'_>, admitted: &DemoRequest<'_>) -> Response<Bytes> {
        demo::page(&self.renderer.request(head), admitted)
    }

    /// Turns a refusal into HTTP, the one place that does: a redirect to the login page or a page of its own for a
    /// browser, a problem document (RFC 9457) for a program. Whoever is signed in, and may not see a page, is told as whom.
    pub fn refuse(
        &self,
        head: &RequestHead<'_>,
        refusal: &Refusal,
        signed_in: Option<&Principal>,
    ) -> Response<Bytes> {
        self.renderer.refuse(head, refusal, signed_in)
    }
}

/// Checks the origin of a form and parses it; `None` unless the request is a POST.
fn read_form(request: &RequestContext<'_>, body: &[u8]) -> Result<Option<Fields>, Refusal> {
    if !request.is_post() {
        return Ok(None);
    }
    require_same_origin(request.head)
        .map_err(|error| Refusal::because(Problem::CrossOrigin, error.to_string()))?;
    let fields = Fields::parse(request.head.headers, body);
    fields
        .map(Some)
        .map_err(|error| Refusal::because(Problem::BadRequest, error.to_string()))
}

/// Calls the page's `get`, or its `post` with the form's fields.
async fn dispatch(page: Page, cx: &PageContext<'_>, fields: Option<Fields>) -> PageResult {
    match (page, fields) {
        (Page::Login, None) => Ok(login::get(cx)),
        (Page::Login, Some(fields)) => Ok(login::post(cx, fields).await),
        (Page::LoginIam, _) if !cx.renderer.login.iam => Err(Problem::IamDisabled.into()),
        (Page::LoginIam, None) => Ok(login_access_key::get(cx)),
        (Page::LoginIam, Some(fields)) => Ok(login_access_key::post(cx, fields).await),
        (Page::Logout, None) => Ok(logout::get(cx)),
        (Page::Logout, Some(fields)) => logout::post(cx, &fields).await,
        (Page::SignUp, None) => signup::get(cx).await,
        (Page::SignUp, Some(fields)) => signup::post(cx, fields).await,
        (Page::SignUpDone, _) => Ok(signup::get_done(cx)),
        (Page::Verify, None) => Ok(verify::get(cx).await),
        (Page::Verify, Some(fields)) => verify::post(cx, &fields).await,
        (Page::Forgot, None) => forgot::get(cx),
        (Page::Forgot, Some(fields)) => forgot::post(cx, &fields).await,
        (Page::ForgotDone, _) => forgot::get_done(cx),
        (Page::Reset, None) => Ok(reset::get(cx).await),
        (Page::Reset, Some(fields)) => Ok(reset::post(cx, fields).await),
        (Page::Me, _) => Ok(userinfo::get(cx)),
        (Page::Problem, _) => problem_pages::get(cx),
        (Page::Asset, _) => cx
            .renderer
            .assets
            .at(cx.head.path)
            .ok_or(Problem::NotFound.into()),
        (Page::Account(page), fields) => account::dispatch(page, &cx.signed_in()?, fields).await,
        (Page::Admin(page), fields) => admin::dispatch(page, &cx.signed_in()?, fields).await,
        (Page::SessionForm(page), fields) => {
            backendai_session::post(page, cx, fields.unwrap_or_default()).await
        }
    }
}
