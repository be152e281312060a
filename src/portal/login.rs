//! `/.auth/login`.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::error_response::{set_retry_after, with_return};
use super::flash::FlashMessage;
use super::form_errors::{ErrorSummary, Errors};
use super::forms::Fields;
use super::renderer::PageRenderer;
use super::request_context::{RequestContext, ResponseFormat};
use super::return_to::{ReturnTo, place_of};
use super::userinfo::UserInfo;
use crate::config::SignupMode;
use crate::model::{Principal, TokenDigest};
use crate::refusal::{Problem, Refusal};
use crate::services::{PreconditionError, PresentedCookie, SignInError, SignedIn, StoreError};

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
    pub(super) alert: Option<ErrorSummary>,
}

#[derive(Serialize)]
struct SignedInView<'a> {
    who: &'a str,
    rd: &'a str,
}

#[derive(Serialize)]
struct SignedInDocument<'a> {
    user: UserInfo<'a>,
    rd: &'a str,
}

impl Portal {
    pub(super) fn login_page(
        &self,
        context: &RequestContext<'_>,
        principal: Option<&Principal>,
    ) -> Response<Bytes> {
        let rd = self.renderer.return_to(context, &context.parameter("rd"));
        match principal {
            Some(principal) => self.renderer.signed_in_page(context, principal, &rd),
            None => self
                .renderer
                .login_page(context, self.renderer.login_view("", &rd)),
        }
    }

    pub(super) async fn log_in(&self, context: &RequestContext<'_>, mut fields: Fields) -> Response<Bytes> {
        let rd = self.renderer.return_to(context, fields.text("rd"));
        let password = fields.secret("password");
        let agrees = fields.agrees();
        let login = fields.text("login").trim();
        let view = self.renderer.login_view(login, &rd);
        let errors = self.renderer.missing(context, login, password.expose());
        if !errors.is_empty() {
            return self.renderer.incomplete_login(context, view, errors);
        }
        let replaces = self.replaces(context);
        let signed_in = self
            .services
            .sign_in
            .with_password(login, &password, agrees, &context.origin(), replaces)
            .await;
        match signed_in {
            Ok(signed_in) => self.welcome(context, &signed_in, &rd),
            Err(SignInError::MustAgree) => self.renderer.must_agree(context, view),
            Err(error) => self.renderer.failed_login(context, view, &refusal_of(&error)),
        }
    }

    /// The session that came with a sign-in, and ends with it (S27).
    pub(super) fn replaces(&self, context: &RequestContext<'_>) -> Option<TokenDigest> {
        match self.services.session_cookie.presented(context.head.headers) {
            PresentedCookie::One(digest) => Some(digest),
            PresentedCookie::None | PresentedCookie::Several => None,
        }
    }

    /// The answer to whoever signed in: the cookie, and the way back.
    pub(super) fn welcome(
        &self,
        context: &RequestContext<'_>,
        signed_in: &SignedIn,
        rd: &ReturnTo,
    ) -> Response<Bytes> {
        let mut response = match context.wants {
            ResponseFormat::Html => self.renderer.see_other(context, rd.as_str()),
            ResponseFormat::Json => {
                let principal = signed_in.session.principal();
                let document = SignedInDocument {
                    user: UserInfo::of(&principal, Some(&signed_in.session)),
                    rd: rd.as_str(),
                };
                self.renderer.json(context, StatusCode::OK, &document)
            }
        };
        response
            .headers_mut()
            .append(SET_COOKIE, self.services.session_cookie.set(&signed_in.token));
        response
    }
}

impl PageRenderer {
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
    pub(super) fn login_in_place(&self, context: &RequestContext<'_>, refusal: &Refusal) -> Response<Bytes> {
        let rd = self.return_to(context, &place_of(context.head, self.central_login));
        let view = LoginView {
            action: Some("/.auth/login"),
            iam: None,
            ..self.login_view("", &rd)
        };
        self.page(context, refusal.problem, "login.html", &view)
    }

    pub(super) fn return_to(&self, context: &RequestContext<'_>, rd: &str) -> ReturnTo {
        ReturnTo::parse(rd, &self.hosts, context.head.authority)
    }

    /// The form as it is shown first.
    fn login_page(&self, context: &RequestContext<'_>, view: LoginView) -> Response<Bytes> {
        let notice = self.notice(context).map(FlashMessage::text);
        let view = LoginView { notice, ..view };
        let mut response = self.page(context, StatusCode::OK, "login.html", &view);
        if notice.is_some() {
            self.clear_notice(&mut response);
        }
        response
    }

    pub(super) fn signed_in_page(
        &self,
        context: &RequestContext<'_>,
        principal: &Principal,
        rd: &ReturnTo,
    ) -> Response<Bytes> {
        let view = SignedInView {
            who: principal.email.as_str(),
            rd: rd.as_str(),
        };
        self.page(context, StatusCode::OK, "signed-in.html", &view)
    }

    pub(super) fn missing(&self, context: &RequestContext<'_>, login: &str, password: &str) -> Errors {
        let mut errors = Errors::new();
        if login.is_empty() {
            let key = if self.login.username {
                "login.required-name"
            } else {
                "login.required"
            };
            errors.insert("login", self.texts.get(context.lang, key).to_owned());
        }
        if password.is_empty() {
            let message = self.texts.get(context.lang, "login.required-password");
            errors.insert("password", message.to_owned());
        }
        errors
    }

    pub(super) fn incomplete_login(
        &self,
        context: &RequestContext<'_>,
        view: LoginView,
        errors: Errors,
    ) -> Response<Bytes> {
        let refusal = Refusal::new(Problem::InvalidInput);
        if context.wants == ResponseFormat::Json {
            return self.refuse_fields(context, &refusal, errors);
        }
        let title = self.texts.get(context.lang, "page.required");
        let view = LoginView {
            alert: Some(ErrorSummary::listing(
                title,
                &errors,
                &["login", "password", "agree"],
            )),
            errors,
            ..view
        };
        self.page(context, refusal.problem, "login.html", &view)
    }

    /// Somebody knows the password, and has to agree to the terms first.
    pub(super) fn must_agree(&self, context: &RequestContext<'_>, view: LoginView) -> Response<Bytes> {
        let message = self.texts.get(context.lang, "login.must-agree").to_owned();
        let view = LoginView {
            terms: self.terms_url.clone(),
            privacy: self.privacy_url.clone(),
            ..view
        };
        self.incomplete_login(context, view, Errors::from([("agree", message)]))
    }

    pub(super) fn failed_login(
        &self,
        context: &RequestContext<'_>,
        view: LoginView,
        refusal: &Refusal,
    ) -> Response<Bytes> {
        if context.wants == ResponseFormat::Json {
            return self.refuse_visit(context, refusal);
        }
        let title = self.title(context, refusal.problem);
        let view = LoginView {
            alert: Some(ErrorSummary::about(title, self.detail(context, refusal))),
            unverified: refusal.problem == Problem::NotVerified,
            ..view
        };
        let mut response = self.page(context, refusal.problem, "login.html", &view);
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
