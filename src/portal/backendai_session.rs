//! `server/login`, `server/login-check` and `server/logout` under a route with `compat = "backend.ai"`:
//! sign-in and sign-out for Backend.AI clients in session mode.
//!
//! Calls the services of the pages and sets their cookie. These clients read `authenticated` and `data`. A
//! refused sign-in has status 200, as they expect: to them any other status is a failure of the request, at
//! which their command line does not stop. Other refusals are problem documents (RFC 9457) with both members.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use serde::Serialize;

use super::error_response::{ProblemDocument, set_retry_after};
use super::form_errors::Errors;
use super::forms::Fields;
use super::login::{missing, refusal_of, replaces};
use super::logout::{clear_browser, end_session};
use super::page_context::{PageContext, PageResult};
use super::request_context::RequestContext;
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
use crate::route::{BackendAiPage, Page};
use crate::services::SignInError;
use crate::text::fill;

/// The sign-in status.
#[derive(Serialize)]
struct BackendAiState<D> {
    authenticated: bool,
    data: D,
    /// The session's public id.
    session_id: Option<String>,
}

/// The account, as these clients read it. Key pair and role belong to the application, which gets the
/// identity headers: here the key is null and the role the lowest.
#[derive(Serialize)]
struct BackendAiAccount {
    access_key: Option<&'static str>,
    role: &'static str,
    status: &'static str,
}

/// A sign-in that was not evaluated.
#[derive(Serialize)]
struct NotSignedIn<'a> {
    #[serde(flatten)]
    problem: &'a ProblemDocument<'a>,
    authenticated: bool,
    data: Reason<'a>,
}

#[derive(Serialize)]
struct Reason<'a> {
    r#type: &'a str,
    title: &'a str,
    details: &'a str,
}

impl<'a> Reason<'a> {
    fn new(problem: &'a ProblemDocument<'_>, details: &'a str) -> Self {
        Self {
            r#type: &problem.r#type,
            title: problem.title,
            details,
        }
    }
}

pub(super) async fn post(page: BackendAiPage, cx: &PageContext<'_>, fields: Fields) -> PageResult {
    match page {
        BackendAiPage::Login => Ok(log_in(cx, fields).await),
        BackendAiPage::LoginCheck => Ok(state(cx, cx.visitor.principal)),
        BackendAiPage::Logout => {
            end_session(cx).await?;
            let mut response = state(cx, None);
            clear_browser(cx.services, &mut response);
            Ok(response)
        }
    }
}

async fn log_in(cx: &PageContext<'_>, mut fields: Fields) -> Response<Bytes> {
    let password = fields.secret("password");
    let login = fields.text("username").trim();
    let missing = missing(cx, login, password.expose());
    if !missing.is_empty() {
        let errors = missing
            .into_iter()
            .map(|(field, message)| (if field == "login" { "username" } else { field }, message));
        return refuse(cx, &Refusal::new(Problem::InvalidInput), errors.collect());
    }
    let (origin, replaces) = (cx.origin(), replaces(cx));
    let sign_in = &cx.services.sign_in;
    let signed_in = sign_in.with_password(login, &password, fields.agrees(), &origin, replaces);
    match signed_in.await {
        Ok(signed_in) => {
            let mut response = state(cx, Some(&signed_in.session.principal()));
            let cookie = cx.services.cookies.set_session(&signed_in.token);
            response.headers_mut().append(SET_COOKIE, cookie);
            response
        }
        Err(error) => {
            let refusal = refusal_of(&error);
            let errors = match error {
                SignInError::MustAgree => must_agree_on_page(cx),
                _ if refusal.problem.status() == StatusCode::UNAUTHORIZED => Errors::new(),
                _ => return refuse(cx, &refusal, Errors::new()),
            };
            reject(cx, &refusal, errors)
        }
    }
}

fn state(cx: &RequestContext<'_>, principal: Option<&Principal>) -> Response<Bytes> {
    let state = BackendAiState {
        authenticated: principal.is_some(),
        data: principal.map(|_| BackendAiAccount {
            access_key: None,
            role: "user",
            status: "active",
        }),
        session_id: principal
            .and_then(|principal| principal.session)
            .map(|id| id.to_string()),
    };
    cx.json(StatusCode::OK, &state)
}

/// Responds that the sign-in was refused, and why.
fn reject(cx: &RequestContext<'_>, refusal: &Refusal, errors: Errors) -> Response<Bytes> {
    let details = details(cx, refusal, &errors);
    let problem = cx.problem_document(refusal, errors);
    let state = BackendAiState {
        authenticated: false,
        data: Reason::new(&problem, &details),
        session_id: None,
    };
    let mut response = cx.json(StatusCode::OK, &state);
    // Counted as the refusal that it is.
    response.extensions_mut().insert(refusal.problem);
    response
}

fn refuse(cx: &RequestContext<'_>, refusal: &Refusal, errors: Errors) -> Response<Bytes> {
    let details = details(cx, refusal, &errors);
    let problem = cx.problem_document(refusal, errors);
    let document = NotSignedIn {
        authenticated: false,
        data: Reason::new(&problem, &details),
        problem: &problem,
    };
    let mut response = cx.problem(refusal.problem, &document);
    set_retry_after(&mut response, refusal.retry_after);
    response
}

/// These clients show `data.details`, so errors of fields are in it too.
fn details(cx: &RequestContext<'_>, refusal: &Refusal, errors: &Errors) -> String {
    if errors.is_empty() {
        cx.detail(refusal)
    } else {
        errors.values().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

fn must_agree_on_page(cx: &RequestContext<'_>) -> Errors {
    let url = format!("{}{}", cx.renderer.public_url, Page::Login.path());
    let message = fill(cx.text("login.must-agree-on-page"), &[("url", &url)]);
    Errors::from([("agree", message)])
}
