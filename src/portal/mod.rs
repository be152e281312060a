//! The gateway's own pages: small, server-rendered, complete without JavaScript.
//!
//! Each page's file has its `get` and its `post`: functions of one `PageContext`, which ask [`services`](crate::services)
//! and never touch the store or the proxy. What a page shows is made by functions that take what they show, and need no
//! service.

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
mod login;
mod login_access_key;
mod logout;
mod page_context;
mod problem_pages;
mod reauthenticate;
mod renderer;
mod request_context;
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

use bytes::Bytes;
use http::{HeaderMap, Response};

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

/// The pages.
#[derive(Debug)]
pub struct Portal {
    renderer: PageRenderer,
    services: Services,
}

/// Who asks for a page.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// Who they are, if they are signed in.
    pub principal: Option<&'a Principal>,
    /// The session that proves it, if one does.
    pub session: Option<&'a ActiveSession>,
}

/// What the demo shows of the request that reached it.
#[derive(Debug)]
pub struct DemoRequest<'a> {
    /// Who it comes from.
    pub visitor: Visitor<'a>,
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
    /// A template is wrong.
    #[error("{0}")]
    Template(String),
    /// What mails are written with is wrong.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// A text is wrong.
    #[error(transparent)]
    Text(#[from] TextError),
}

impl Portal {
    /// Loads texts, templates and branding. `hosts` are the configured hosts, to which alone a `rd` may lead.
    pub fn new(config: &Config, services: Services, hosts: Vec<HostPattern>) -> Result<Self, PortalError> {
        let renderer = PageRenderer::new(config, hosts)?;
        for warning in template_check::run(&renderer, config)? {
            tracing::warn!("branding.folder: {warning}");
        }
        Ok(Self { renderer, services })
    }

    /// Whether pages and mails can be made with the operator's templates and texts, and what looks odd in them.
    pub fn check(config: &Config) -> Result<Vec<String>, PortalError> {
        template_check::run(&PageRenderer::new(config, Vec::new())?, config)
    }

    /// Answers a request to one of the pages. The route has checked the method and the body's size; the page checks the origin.
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
            visitor,
        };
        let response = match read_form(&request, &body) {
            Ok(fields) => dispatch(page, &cx, fields).await,
            Err(refusal) => Err(refusal.into()),
        };
        response.unwrap_or_else(|error| error.into_response(&request))
    }

    /// Records that somebody asked for a page of the administrators, or for an act on it, who may not.
    pub fn note_denied(&self, head: &RequestHead<'_>, who: &Principal, problem: Problem) {
        let event = Event::failure(Kind::AdminDenied, who.email.as_str(), problem.slug())
            .account(who.account)
            .detail(AuditDetail::of(DetailKey::Page, head.path));
        self.services
            .audit
            .note(&self.renderer.request(head).origin(), &event);
    }

    /// The built-in application `demo:`.
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

/// The fields of a form that was sent; `None` where none was.
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

/// Each page's `get`, or `post` with the fields of the form that was sent.
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
