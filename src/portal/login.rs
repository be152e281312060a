//! `/.auth/login`.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::alert::{Alert, Errors};
use super::forms::Fields;
use super::me::Me;
use super::notice::Notice;
use super::refuse::{set_retry_after, with_return};
use super::return_to::{ReturnTo, place_of};
use super::site::Site;
use super::visit::{Visit, Wants};
use crate::config::SignupMode;
use crate::model::{Principal, TokenDigest};
use crate::refusal::{Problem, Refusal};
use crate::services::{PreconditionError, Presented, SignInError, SignedIn, StoreError};

/// The form as it is shown; the password never is.
#[derive(Debug, Default, Serialize)]
pub(super) struct LoginView {
    pub(super) login: String,
    pub(super) rd: String,
    /// Where the form goes, if not to the page's own address.
    pub(super) action: Option<&'static str>,
    pub(super) by_username: bool,
    pub(super) signup: &'static str,
    /// The text of what was done just before.
    pub(super) notice: Option<&'static str>,
    /// A forgotten password can be set anew.
    pub(super) reset: bool,
    /// The address is not proven: the link can be sent once more.
    pub(super) unverified: bool,
    /// Where one signs in with an access key, if that can be done.
    pub(super) iam: Option<String>,
    /// The terms that must be agreed to, if they must, and the privacy notice.
    pub(super) terms: String,
    pub(super) privacy: String,
    pub(super) errors: Errors,
    pub(super) alert: Option<Alert>,
}

#[derive(Serialize)]
struct SignedInView<'a> {
    who: &'a str,
    rd: &'a str,
}

#[derive(Serialize)]
struct SignedInDocument<'a> {
    user: Me<'a>,
    rd: &'a str,
}

impl Portal {
    pub(super) fn login_page(&self, visit: &Visit<'_>, principal: Option<&Principal>) -> Response<Bytes> {
        let rd = self.site.return_to(visit, &visit.parameter("rd"));
        match principal {
            Some(principal) => self.site.signed_in_page(visit, principal, &rd),
            None => self.site.login_page(visit, self.site.login_view("", &rd)),
        }
    }

    pub(super) async fn log_in(&self, visit: &Visit<'_>, mut fields: Fields) -> Response<Bytes> {
        let rd = self.site.return_to(visit, fields.text("rd"));
        let password = fields.secret("password");
        let agrees = fields.agrees();
        let login = fields.text("login").trim();
        let view = self.site.login_view(login, &rd);
        let errors = self.site.missing(visit, login, password.expose());
        if !errors.is_empty() {
            return self.site.incomplete_login(visit, view, errors);
        }
        let replaces = self.replaces(visit);
        let signed_in = self
            .services
            .sign_in
            .with_password(login, &password, agrees, &visit.origin(), replaces)
            .await;
        match signed_in {
            Ok(signed_in) => self.welcome(visit, &signed_in, &rd),
            Err(SignInError::MustAgree) => self.site.must_agree(visit, view),
            Err(error) => self.site.failed_login(visit, view, &refusal_of(&error)),
        }
    }

    /// The session that came with a sign-in, and ends with it (S27).
    pub(super) fn replaces(&self, visit: &Visit<'_>) -> Option<TokenDigest> {
        match self.services.session_cookie.presented(visit.head.headers) {
            Presented::One(digest) => Some(digest),
            Presented::None | Presented::Several => None,
        }
    }

    /// The answer to whoever signed in: the cookie, and the way back.
    pub(super) fn welcome(&self, visit: &Visit<'_>, signed_in: &SignedIn, rd: &ReturnTo) -> Response<Bytes> {
        let mut response = match visit.wants {
            Wants::Html => self.site.see_other(visit, rd.as_str()),
            Wants::Json => {
                let principal = signed_in.session.principal();
                let document = SignedInDocument {
                    user: Me::of(&principal, Some(&signed_in.session)),
                    rd: rd.as_str(),
                };
                self.site.json(visit, StatusCode::OK, &document)
            }
        };
        response
            .headers_mut()
            .append(SET_COOKIE, self.services.session_cookie.set(&signed_in.token));
        response
    }
}

impl Site {
    fn login_view(&self, login: &str, rd: &ReturnTo) -> LoginView {
        LoginView {
            login: login.to_owned(),
            rd: rd.as_str().to_owned(),
            by_username: self.login.username,
            reset: self.login.reset,
            iam: self
                .login
                .iam
                .then(|| with_return("/.auth/login/iam", rd.as_str())),
            signup: match self.signup {
                SignupMode::Closed => "closed",
                SignupMode::Invite => "invite",
                SignupMode::Open => "open",
            },
            ..LoginView::default()
        }
    }

    /// The form at the place that it leads back to, where a request for the login page would be too large with it.
    pub(super) fn login_in_place(&self, visit: &Visit<'_>, refusal: &Refusal) -> Response<Bytes> {
        let rd = self.return_to(visit, &place_of(visit.head, self.central_login));
        let view = LoginView {
            action: Some("/.auth/login"),
            iam: None,
            ..self.login_view("", &rd)
        };
        self.page(visit, refusal.problem, "login.html", &view)
    }

    pub(super) fn return_to(&self, visit: &Visit<'_>, rd: &str) -> ReturnTo {
        ReturnTo::parse(rd, &self.hosts, visit.head.authority)
    }

    /// The form as it is shown first.
    fn login_page(&self, visit: &Visit<'_>, view: LoginView) -> Response<Bytes> {
        let notice = self.notice(visit).map(Notice::text);
        let view = LoginView { notice, ..view };
        let mut response = self.page(visit, StatusCode::OK, "login.html", &view);
        if notice.is_some() {
            self.clear_notice(&mut response);
        }
        response
    }

    pub(super) fn signed_in_page(
        &self,
        visit: &Visit<'_>,
        principal: &Principal,
        rd: &ReturnTo,
    ) -> Response<Bytes> {
        let view = SignedInView {
            who: principal.email.as_str(),
            rd: rd.as_str(),
        };
        self.page(visit, StatusCode::OK, "signed-in.html", &view)
    }

    pub(super) fn missing(&self, visit: &Visit<'_>, login: &str, password: &str) -> Errors {
        let mut errors = Errors::new();
        if login.is_empty() {
            let key = if self.login.username {
                "login.required-name"
            } else {
                "login.required"
            };
            errors.insert("login", self.texts.get(visit.lang, key).to_owned());
        }
        if password.is_empty() {
            let message = self.texts.get(visit.lang, "login.required-password");
            errors.insert("password", message.to_owned());
        }
        errors
    }

    pub(super) fn incomplete_login(
        &self,
        visit: &Visit<'_>,
        view: LoginView,
        errors: Errors,
    ) -> Response<Bytes> {
        let refusal = Refusal::new(Problem::InvalidInput);
        if visit.wants == Wants::Json {
            return self.refuse_fields(visit, &refusal, errors);
        }
        let title = self.texts.get(visit.lang, "page.required");
        let view = LoginView {
            alert: Some(Alert::listing(title, &errors, &["login", "password", "agree"])),
            errors,
            ..view
        };
        self.page(visit, refusal.problem, "login.html", &view)
    }

    /// Somebody knows the password, and has to agree to the terms first.
    pub(super) fn must_agree(&self, visit: &Visit<'_>, view: LoginView) -> Response<Bytes> {
        let message = self.texts.get(visit.lang, "login.must-agree").to_owned();
        let view = LoginView {
            terms: self.terms_url.clone(),
            privacy: self.privacy_url.clone(),
            ..view
        };
        self.incomplete_login(visit, view, Errors::from([("agree", message)]))
    }

    pub(super) fn failed_login(
        &self,
        visit: &Visit<'_>,
        view: LoginView,
        refusal: &Refusal,
    ) -> Response<Bytes> {
        if visit.wants == Wants::Json {
            return self.refuse_visit(visit, refusal);
        }
        let title = self.title(visit, refusal.problem);
        let view = LoginView {
            alert: Some(Alert::about(title, self.detail(visit, refusal))),
            unverified: refusal.problem == Problem::NotVerified,
            ..view
        };
        let mut response = self.page(visit, refusal.problem, "login.html", &view);
        set_retry_after(&mut response, refusal.retry_after);
        response
    }
}

pub(super) fn refusal_of(error: &SignInError) -> Refusal {
    match error {
        SignInError::InvalidCredentials => Refusal::new(Problem::InvalidCredentials),
        SignInError::NotVerified => Refusal::new(Problem::NotVerified),
        SignInError::NotApproved => Refusal::new(Problem::NotApproved),
        SignInError::Disabled => Refusal::new(Problem::AccountDisabled),
        SignInError::MustAgree => Refusal::new(Problem::InvalidInput),
        SignInError::Locked(wait) => Refusal::new(Problem::Locked).retry_after(*wait),
        SignInError::RateLimited(wait) => Refusal::new(Problem::RateLimited).retry_after(*wait),
        SignInError::Store(error) => refusal_of_store(error),
        SignInError::Busy | SignInError::Unrecorded => unavailable(error.to_string()),
    }
}

/// What is answered where the store did nothing: 401 or 403 to whoever lost the right to what was asked for, else 503.
pub(super) fn refusal_of_store(error: &StoreError) -> Refusal {
    let problem = match error {
        StoreError::Precondition(PreconditionError::NotMember) => Problem::Forbidden,
        StoreError::Precondition(
            PreconditionError::AccountInactive
            | PreconditionError::SessionEnded
            | PreconditionError::PasswordChanged,
        ) => Problem::NotAuthenticated,
        StoreError::Unavailable(_) | StoreError::Corrupt(_) | StoreError::Refused(_) => {
            return unavailable(error.to_string());
        }
    };
    Refusal::because(problem, error.to_string())
}

/// 503, logged where it is handled: here.
pub(super) fn unavailable(cause: String) -> Refusal {
    tracing::warn!(%cause, "a page could not be served");
    Refusal::because(Problem::Unavailable, cause)
}
