//! The gateway's own pages: small, server-rendered, complete without JavaScript.
//!
//! A page is a function from a request's head and body to an answer; it asks [`services`](crate::services) and never
//! touches the store or the proxy. What can be rendered without a service is a method of `PageRenderer`.

mod account;
mod admin;
mod assets;
mod backendai_session;
mod datetime;
mod demo;
mod error_response;
mod flash;
mod forgot;
mod form_errors;
mod forms;
mod login;
mod login_access_key;
mod logout;
mod problem_pages;
mod reauthenticate;
mod renderer;
mod reset;
mod response;
mod return_to;
mod session_list;
mod signature_hints;
mod signed_in;
mod signup;
mod template_check;
mod template_context;
mod templates;
mod user_agent;
mod userinfo;
mod www_authenticate;

mod request_context;
mod verify;

#[cfg(test)]
mod page_tests;

use bytes::Bytes;
use http::{HeaderMap, Response};

use self::forms::Fields;
use self::renderer::PageRenderer;
use self::request_context::{RequestContext, ResponseFormat};
use self::signed_in::SignedInUser;
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
        let mut visit = self.renderer.visit(head);
        if matches!(page, Page::SessionForm(_)) {
            visit.wants = ResponseFormat::Json;
        }
        let fields = if visit.is_post() {
            if let Err(error) = require_same_origin(head) {
                let refusal = Refusal::because(Problem::CrossOrigin, error.to_string());
                return self.renderer.refuse_visit(&visit, &refusal);
            }
            match Fields::parse(head.headers, &body) {
                Ok(fields) => Some(fields),
                Err(error) => {
                    let refusal = Refusal::because(Problem::BadRequest, error.to_string());
                    return self.renderer.refuse_visit(&visit, &refusal);
                }
            }
        } else {
            None
        };
        let principal = visitor.principal;
        match (page, fields) {
            (Page::Login, None) => self.login_page(&visit, principal),
            (Page::Login, Some(fields)) => self.log_in(&visit, fields).await,
            (Page::LoginIam, _) if !self.renderer.login.iam => self
                .renderer
                .refuse_visit(&visit, &Refusal::new(Problem::IamDisabled)),
            (Page::LoginIam, None) => self.login_iam_page(&visit, principal),
            (Page::LoginIam, Some(fields)) => self.log_in_with_key(&visit, fields).await,
            (Page::Logout, None) => self.renderer.logout_page(&visit, principal),
            (Page::Logout, Some(fields)) => self.log_out(&visit, &fields).await,
            (Page::SignUp, None) => self.signup_page(&visit).await,
            (Page::SignUp, Some(fields)) => self.sign_up(&visit, fields).await,
            (Page::SignUpDone, _) => self.renderer.signup_done(&visit),
            (Page::Verify, None) => self.verify_page(&visit).await,
            (Page::Verify, Some(fields)) => self.verify(&visit, principal, &fields).await,
            (Page::Forgot, None) => self.renderer.forgot_page(&visit),
            (Page::Forgot, Some(fields)) => self.forgot(&visit, &fields).await,
            (Page::ForgotDone, _) => self.renderer.forgot_done(&visit),
            (Page::Reset, None) => self.reset_page(&visit).await,
            (Page::Reset, Some(fields)) => self.reset(&visit, fields).await,
            (Page::Me, _) => self.renderer.me(&visit, visitor),
            (Page::Problem, _) => self.renderer.problem_page(&visit),
            (Page::Asset, _) => self.renderer.asset(&visit),
            (Page::Account(page), fields) => match SignedInUser::of(visitor) {
                Ok(member) => self.account(page, &visit, member, fields).await,
                Err(refusal) => self.renderer.refuse_visit(&visit, &refusal),
            },
            (Page::SessionForm(page), fields) => {
                let fields = fields.unwrap_or_default();
                self.session_form(page, &visit, principal, fields).await
            }
            (Page::Admin(page), fields) => match SignedInUser::of(visitor) {
                Ok(member) => self.admin(page, &visit, member, fields).await,
                Err(refusal) => self.renderer.refuse_visit(&visit, &refusal),
            },
        }
    }

    /// Records that somebody asked for a page of the administrators, or for an act on it, who may not.
    pub fn note_denied(&self, head: &RequestHead<'_>, who: &Principal, problem: Problem) {
        let event = Event::failure(Kind::AdminDenied, who.email.as_str(), problem.slug())
            .account(who.account)
            .detail(AuditDetail::of(DetailKey::Page, head.path));
        self.services
            .audit
            .note(&self.renderer.visit(head).origin(), &event);
    }

    /// The built-in application `demo:`.
    pub fn demo(&self, head: &RequestHead<'_>, admitted: &DemoRequest<'_>) -> Response<Bytes> {
        self.renderer.demo(&self.renderer.visit(head), admitted)
    }

    /// Turns a refusal into HTTP, the one place that does: a redirect to the login page or a page of its own for a
    /// browser, a problem document (RFC 9457) for a program.
    pub fn refuse(&self, head: &RequestHead<'_>, refusal: &Refusal) -> Response<Bytes> {
        self.renderer.refuse(head, refusal)
    }
}

impl PageRenderer {
    fn asset(&self, context: &RequestContext<'_>) -> Response<Bytes> {
        self.assets
            .at(context.head.path)
            .unwrap_or_else(|| self.refuse_visit(context, &Refusal::new(Problem::NotFound)))
    }
}
