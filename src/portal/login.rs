//! `/.auth/login`: signs in with a password.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use serde::Serialize;

use super::error_response::with_return;
use super::flash::{self, FlashMessage};
use super::form_errors::{ErrorSummary, Errors, FormRefusal};
use super::forms::Fields;
use super::page_context::{PageContext, refusal_of_store, unavailable};
use super::request_context::RequestContext;
use super::return_to::{ReturnTo, place_of};
use super::userinfo::UserInfo;
use crate::config::SignupMode;
use crate::model::{Principal, TokenDigest};
use crate::refusal::{Problem, Refusal};
use crate::route::Page;
use crate::services::{PresentedCookie, SignInError, SignedIn};

/// The fields of the form, in their order.
const ORDER: &[&str] = &["login", "password", "agree"];

/// The form, as it is shown, without the password.
#[derive(Debug, Default, Serialize)]
pub(super) struct LoginView {
    pub(super) login: String,
    pub(super) rd: String,
    /// The form's target, unless it is the page's own URL.
    pub(super) action: Option<&'static str>,
    pub(super) by_username: bool,
    pub(super) signup: &'static str,
    /// The text of what was done just before, by its key.
    pub(super) notice: Option<&'static str>,
    /// Whether a forgotten password can be reset.
    pub(super) reset: bool,
    /// Whether the address is unverified, so that its link can be sent again.
    pub(super) unverified: bool,
    /// The URL of the sign-in with an access key, if it is on.
    pub(super) iam: Option<String>,
    /// The operator's words for that.
    pub(super) iam_label: String,
    /// The terms that must be accepted, if they must, and the privacy notice.
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

pub(super) fn get(cx: &PageContext<'_>) -> Response<Bytes> {
    let rd = cx.return_to(&cx.parameter("rd"));
    match cx.visitor.principal {
        Some(principal) => signed_in_page(cx, principal, &rd),
        None => form(cx, empty(cx, "", &rd)),
    }
}

/// Fields: `login`, `password`, `agree`, `rd`.
pub(super) async fn post(cx: &PageContext<'_>, mut fields: Fields) -> Response<Bytes> {
    let rd = cx.return_to(fields.text("rd"));
    let password = fields.secret("password");
    let agrees = fields.agrees();
    let login = fields.text("login").trim();
    let view = empty(cx, login, &rd);
    let errors = missing(cx, login, password.expose());
    if !errors.is_empty() {
        return refused(cx, view, errors.into());
    }
    let (origin, replaces) = (cx.origin(), replaces(cx));
    let sign_in = &cx.services.sign_in;
    let signed_in = sign_in.with_password(login, &password, agrees, &origin, replaces);
    match signed_in.await {
        Ok(signed_in) => welcome(cx, &signed_in, &rd),
        Err(SignInError::MustAgree) => must_agree(cx, view),
        Err(error) => refused(cx, view, refusal_of(&error).into()),
    }
}

/// The session of the request, which the sign-in replaces (S27).
pub(super) fn replaces(cx: &PageContext<'_>) -> Option<TokenDigest> {
    match cx.services.cookies.presented_session(cx.head.headers) {
        PresentedCookie::One(digest) => Some(digest),
        PresentedCookie::None | PresentedCookie::Several => None,
    }
}

/// Responds to a sign-in: sets the cookie and leads back.
pub(super) fn welcome(cx: &PageContext<'_>, signed_in: &SignedIn, rd: &ReturnTo) -> Response<Bytes> {
    let principal = signed_in.session.principal();
    let document = SignedInDocument {
        user: UserInfo::of(&principal, Some(&signed_in.session)),
        rd: rd.as_str(),
    };
    let mut response = cx.json_or_see_other(StatusCode::OK, &document, rd.as_str());
    let cookie = cx.services.cookies.set_session(&signed_in.token);
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

/// The form without errors.
fn empty(cx: &RequestContext<'_>, login: &str, rd: &ReturnTo) -> LoginView {
    let renderer = cx.renderer;
    LoginView {
        login: login.to_owned(),
        rd: rd.as_str().to_owned(),
        by_username: renderer.login.username,
        reset: renderer.login.reset,
        iam: renderer
            .login
            .iam
            .then(|| with_return(Page::LoginIam.path(), rd.as_str())),
        iam_label: renderer.login.iam_label.clone(),
        signup: match renderer.signup {
            SignupMode::Closed => "closed",
            SignupMode::Invite => "invite",
            SignupMode::Open => "open",
        },
        ..LoginView::default()
    }
}

/// Shows the form at the requested place itself, because a URL of the login page with it would be too large.
pub(super) fn in_place(cx: &RequestContext<'_>, refusal: &Refusal) -> Response<Bytes> {
    let rd = cx.return_to(&place_of(cx.head, cx.renderer.central_login));
    let view = LoginView {
        action: Some(Page::Login.path()),
        iam: None,
        ..empty(cx, "", &rd)
    };
    cx.page(refusal.problem, "login.html", &view)
}

/// Shows the form without errors, with the flash message.
fn form(cx: &RequestContext<'_>, view: LoginView) -> Response<Bytes> {
    let notice = flash::left(cx).map(FlashMessage::text);
    let view = LoginView { notice, ..view };
    let mut response = cx.page(StatusCode::OK, "login.html", &view);
    if notice.is_some() {
        flash::clear(cx.renderer, &mut response);
    }
    response
}

pub(super) fn signed_in_page(
    cx: &RequestContext<'_>,
    principal: &Principal,
    rd: &ReturnTo,
) -> Response<Bytes> {
    let view = SignedInView {
        who: principal.email.as_str(),
        rd: rd.as_str(),
    };
    cx.page(StatusCode::OK, "signed-in.html", &view)
}

pub(super) fn missing(cx: &RequestContext<'_>, login: &str, password: &str) -> Errors {
    let mut errors = Errors::new();
    if login.is_empty() {
        let key = if cx.renderer.login.username {
            "login.required-name"
        } else {
            "login.required"
        };
        errors.extend(cx.field_error("login", key));
    }
    if password.is_empty() {
        errors.extend(cx.field_error("password", "login.required-password"));
    }
    errors
}

/// Asks the proven owner of an account to accept the terms first.
pub(super) fn must_agree(cx: &RequestContext<'_>, view: LoginView) -> Response<Bytes> {
    let view = LoginView {
        terms: cx.renderer.terms_url.clone(),
        privacy: cx.renderer.privacy_url.clone(),
        ..view
    };
    refused(cx, view, cx.field_error("agree", "login.must-agree").into())
}

pub(super) fn refused(cx: &RequestContext<'_>, view: LoginView, refused: FormRefusal) -> Response<Bytes> {
    cx.refuse_form(refused, ORDER, |problem, errors, alert| {
        let view = LoginView {
            alert: Some(alert),
            errors,
            unverified: problem == Problem::NotVerified,
            ..view
        };
        cx.page(problem, "login.html", &view)
    })
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
