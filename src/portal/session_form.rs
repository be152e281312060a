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
use super::alert::Errors;
use super::forms::Fields;
use super::login::refusal_of;
use super::refuse::{ProblemDocument, set_retry_after};
use super::site::Site;
use super::visit::Visit;
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
use crate::route::SessionFormPage;
use crate::services::SignInError;
use crate::text::fill;

/// Whether somebody is signed in.
#[derive(Serialize)]
struct State<D> {
    authenticated: bool,
    data: D,
    /// The session's public id.
    session_id: Option<String>,
}

/// What these clients know of an account. Its key pair and its role are the application's, which is told who asks: here
/// stand none, and the least.
#[derive(Serialize)]
struct Account {
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
        page: SessionFormPage,
        visit: &Visit<'_>,
        principal: Option<&Principal>,
        fields: Fields,
    ) -> Response<Bytes> {
        match page {
            SessionFormPage::Login => self.log_in_to_session_form(visit, fields).await,
            SessionFormPage::LoginCheck => self.site.session_state(visit, principal),
            SessionFormPage::Logout => match self.end_session(visit).await {
                Ok(()) => {
                    let mut response = self.site.session_state(visit, None);
                    self.clear_browser(&mut response);
                    response
                }
                Err(refusal) => self.site.refuse_visit(visit, &refusal),
            },
        }
    }

    async fn log_in_to_session_form(&self, visit: &Visit<'_>, mut fields: Fields) -> Response<Bytes> {
        let password = fields.secret("password");
        let login = fields.text("username").trim();
        let missing = self.site.missing(visit, login, password.expose());
        if !missing.is_empty() {
            let errors = missing
                .into_iter()
                .map(|(field, message)| (if field == "login" { "username" } else { field }, message));
            return self
                .site
                .refuse_session(visit, &Refusal::new(Problem::InvalidInput), errors.collect());
        }
        let signed_in = self
            .services
            .sign_in
            .with_password(
                login,
                &password,
                fields.agrees(),
                &visit.origin(),
                self.replaces(visit),
            )
            .await;
        match signed_in {
            Ok(signed_in) => {
                let principal = signed_in.session.principal();
                let mut response = self.site.session_state(visit, Some(&principal));
                response
                    .headers_mut()
                    .append(SET_COOKIE, self.services.session_cookie.set(&signed_in.token));
                response
            }
            Err(error) => {
                let refusal = refusal_of(&error);
                let errors = match error {
                    SignInError::MustAgree => self.site.must_agree_on_page(visit),
                    _ if refusal.problem.status() == StatusCode::UNAUTHORIZED => Errors::new(),
                    _ => return self.site.refuse_session(visit, &refusal, Errors::new()),
                };
                self.site.turn_away(visit, &refusal, errors)
            }
        }
    }
}

impl Site {
    fn session_state(&self, visit: &Visit<'_>, principal: Option<&Principal>) -> Response<Bytes> {
        let state = State {
            authenticated: principal.is_some(),
            data: principal.map(|_| Account {
                access_key: None,
                role: "user",
                status: "active",
            }),
            session_id: principal
                .and_then(|principal| principal.session)
                .map(|id| id.to_string()),
        };
        self.json(visit, StatusCode::OK, &state)
    }

    /// Says that somebody is not signed in, and why.
    fn turn_away(&self, visit: &Visit<'_>, refusal: &Refusal, errors: Errors) -> Response<Bytes> {
        let details = self.details(visit, refusal, &errors);
        let problem = self.problem_document(visit, refusal, errors);
        let state = State {
            authenticated: false,
            data: Reason::new(&problem, &details),
            session_id: None,
        };
        let mut response = self.json(visit, StatusCode::OK, &state);
        // It counts as the refusal that it is.
        response.extensions_mut().insert(refusal.problem);
        response
    }

    fn refuse_session(&self, visit: &Visit<'_>, refusal: &Refusal, errors: Errors) -> Response<Bytes> {
        let details = self.details(visit, refusal, &errors);
        let problem = self.problem_document(visit, refusal, errors);
        let document = NotSignedIn {
            authenticated: false,
            data: Reason::new(&problem, &details),
            problem: &problem,
        };
        let mut response = self.problem(visit, refusal.problem, &document);
        set_retry_after(&mut response, refusal.retry_after);
        response
    }

    /// These clients show `data.details`: what is wrong with a field stands there too.
    fn details(&self, visit: &Visit<'_>, refusal: &Refusal, errors: &Errors) -> String {
        if errors.is_empty() {
            self.detail(visit, refusal)
        } else {
            errors.values().map(String::as_str).collect::<Vec<_>>().join(" ")
        }
    }

    fn must_agree_on_page(&self, visit: &Visit<'_>) -> Errors {
        let sentence = self.texts.get(visit.lang, "login.must-agree-on-page");
        let url = format!("{}/.auth/login", self.public_url);
        Errors::from([("agree", fill(sentence, &[("url", &url)]))])
    }
}
