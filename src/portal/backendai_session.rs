//! `server/login`, `server/login-check` and `server/logout` under a route with `compat = "backend.ai"`: signing in and out
//! as the clients of Backend.AI do in session mode.
//!
//! The same services as on the pages, and the same cookie. What these clients read of an answer is `authenticated` and
//! `data`. Who is turned away is told so with a 200, as these clients expect: any other status is a failure of the
//! request to them, which their command line does not end with. Other refusals are problem documents (RFC 9457) that
//! have both.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::error_response::{ProblemDocument, set_retry_after};
use super::form_errors::Errors;
use super::forms::Fields;
use super::login::refusal_of;
use super::renderer::PageRenderer;
use super::request_context::RequestContext;
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
use crate::route::BackendAiPage;
use crate::services::SignInError;
use crate::text::fill;

/// Whether somebody is signed in.
#[derive(Serialize)]
struct BackendAiState<D> {
    authenticated: bool,
    data: D,
    /// The session's public id.
    session_id: Option<String>,
}

/// What these clients know of an account. Its key pair and its role are the application's, which is told who asks: here
/// stand none, and the least.
#[derive(Serialize)]
struct BackendAiAccount {
    access_key: Option<&'static str>,
    role: &'static str,
    status: &'static str,
}

/// A sign-in that was not judged.
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

impl Portal {
    pub(super) async fn session_form(
        &self,
        page: BackendAiPage,
        context: &RequestContext<'_>,
        principal: Option<&Principal>,
        fields: Fields,
    ) -> Response<Bytes> {
        match page {
            BackendAiPage::Login => self.log_in_to_session_form(context, fields).await,
            BackendAiPage::LoginCheck => self.renderer.session_state(context, principal),
            BackendAiPage::Logout => match self.end_session(context).await {
                Ok(()) => {
                    let mut response = self.renderer.session_state(context, None);
                    self.clear_browser(&mut response);
                    response
                }
                Err(refusal) => self.renderer.refuse_visit(context, &refusal),
            },
        }
    }

    async fn log_in_to_session_form(
        &self,
        context: &RequestContext<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        let password = fields.secret("password");
        let login = fields.text("username").trim();
        let missing = self.renderer.missing(context, login, password.expose());
        if !missing.is_empty() {
            let errors = missing
                .into_iter()
                .map(|(field, message)| (if field == "login" { "username" } else { field }, message));
            return self.renderer.refuse_session(
                context,
                &Refusal::new(Problem::InvalidInput),
                errors.collect(),
            );
        }
        let signed_in = self
            .services
            .sign_in
            .with_password(
                login,
                &password,
                fields.agrees(),
                &context.origin(),
                self.replaces(context),
            )
            .await;
        match signed_in {
            Ok(signed_in) => {
                let principal = signed_in.session.principal();
                let mut response = self.renderer.session_state(context, Some(&principal));
                response
                    .headers_mut()
                    .append(SET_COOKIE, self.services.session_cookie.set(&signed_in.token));
                response
            }
            Err(error) => {
                let refusal = refusal_of(&error);
                let errors = match error {
                    SignInError::MustAgree => self.renderer.must_agree_on_page(context),
                    _ if refusal.problem.status() == StatusCode::UNAUTHORIZED => Errors::new(),
                    _ => return self.renderer.refuse_session(context, &refusal, Errors::new()),
                };
                self.renderer.reject(context, &refusal, errors)
            }
        }
    }
}

impl PageRenderer {
    fn session_state(&self, context: &RequestContext<'_>, principal: Option<&Principal>) -> Response<Bytes> {
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
        self.json(context, StatusCode::OK, &state)
    }

    /// Says that somebody is not signed in, and why.
    fn reject(&self, context: &RequestContext<'_>, refusal: &Refusal, errors: Errors) -> Response<Bytes> {
        let details = self.details(context, refusal, &errors);
        let problem = self.problem_document(context, refusal, errors);
        let state = BackendAiState {
            authenticated: false,
            data: Reason::new(&problem, &details),
            session_id: None,
        };
        let mut response = self.json(context, StatusCode::OK, &state);
        // It counts as the refusal that it is.
        response.extensions_mut().insert(refusal.problem);
        response
    }

    fn refuse_session(
        &self,
        context: &RequestContext<'_>,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        let details = self.details(context, refusal, &errors);
        let problem = self.problem_document(context, refusal, errors);
        let document = NotSignedIn {
            authenticated: false,
            data: Reason::new(&problem, &details),
            problem: &problem,
        };
        let mut response = self.problem(context, refusal.problem, &document);
        set_retry_after(&mut response, refusal.retry_after);
        response
    }

    /// These clients show `data.details`: what is wrong with a field stands there too.
    fn details(&self, context: &RequestContext<'_>, refusal: &Refusal, errors: &Errors) -> String {
        if errors.is_empty() {
            self.detail(context, refusal)
        } else {
            errors.values().map(String::as_str).collect::<Vec<_>>().join(" ")
        }
    }

    fn must_agree_on_page(&self, context: &RequestContext<'_>) -> Errors {
        let sentence = self.texts.get(context.lang, "login.must-agree-on-page");
        let url = format!("{}/.auth/login", self.public_url);
        Errors::from([("agree", fill(sentence, &[("url", &url)]))])
    }
}
