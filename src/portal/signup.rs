//! `/.auth/signup` and `/.auth/signup/done`.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::form_errors::{ErrorSummary, Errors, FormRefusal};
use super::forms::{Fields, token_in};
use super::page_context::{PageContext, PageError, PageResult, unavailable};
use super::request_context::RequestContext;
use super::response::with_query;
use crate::config::{PasswordPolicyName, SignupMode};
use crate::model::{Invitation, InvitationKind};
use crate::refusal::{Problem, Refusal};
use crate::route::Page;
use crate::services::{FieldError, SignUpError, SignUpField, SignUpForm, SignUpNext};

/// The form as it is shown; passwords never are.
#[derive(Debug, Default, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one condition of the template"
)]
pub(super) struct SignUpView {
    pub(super) email: String,
    pub(super) username: String,
    pub(super) agree: bool,
    pub(super) invitation: String,
    pub(super) ask_invitation: bool,
    pub(super) email_bound: bool,
    pub(super) email_taken: bool,
    /// A forgotten password can be set anew.
    pub(super) reset: bool,
    pub(super) administrator: bool,
    /// The username can be changed later.
    pub(super) changeable: bool,
    pub(super) nist: bool,
    pub(super) terms: String,
    pub(super) privacy: String,
    pub(super) errors: Errors,
    pub(super) alert: Option<ErrorSummary>,
}

#[derive(Serialize)]
struct SignUpDone {
    next: SignUpNext,
}

/// The order of the form.
const ORDER: &[&str] = &[
    "invitation",
    "email",
    "username",
    "password",
    "password_confirm",
    "agree",
];

pub(super) async fn get(cx: &PageContext<'_>) -> PageResult {
    let token = token_in(&cx.parameter("invitation")).to_owned();
    let mut view = empty(cx, &token).await?;
    if view.ask_invitation && !token.is_empty() {
        view.errors = cx.field_error("invitation", "field.invitation-void");
    }
    Ok(cx.page(StatusCode::OK, "signup.html", &view))
}

/// `invitation`, `email`, `username`, `password`, `password_confirm`, `agree`
pub(super) async fn post(cx: &PageContext<'_>, mut fields: Fields) -> PageResult {
    let token = token_in(fields.text("invitation")).to_owned();
    let form = SignUpForm {
        email: fields.text("email").to_owned(),
        username: fields.text("username").to_owned(),
        password: fields.secret("password"),
        password_confirm: fields.secret("password_confirm"),
        invitation: Some(token.clone()).filter(|token| !token.is_empty()),
        agree: fields.agrees(),
    };
    let (email, username, agree) = (form.email.clone(), form.username.clone(), form.agree);
    let error = match cx.services.sign_up.sign_up(form, &cx.origin()).await {
        Ok(next) => return Ok(signed_up(cx, next)),
        Err(error) => error,
    };
    let (faults, refusal) = match error {
        SignUpError::Invalid(faults) => (faults, Refusal::new(Problem::InvalidInput)),
        SignUpError::RateLimited(wait) => (Vec::new(), Refusal::new(Problem::RateLimited).retry_after(wait)),
        SignUpError::Closed => return Err(Problem::SignupClosed.into()),
        SignUpError::Busy | SignUpError::Store(_) | SignUpError::Unrecorded => {
            (Vec::new(), unavailable(error.to_string()))
        }
    };
    if cx.wants_json() {
        return Ok(cx.refuse_fields(&refusal, cx.messages(&faults)));
    }
    let view = SignUpView {
        email,
        username,
        agree,
        ..empty(cx, &token).await?
    };
    Ok(refused(cx, view, &faults, refusal))
}

/// The empty form, as the invitation allows it to be shown.
async fn empty(cx: &PageContext<'_>, token: &str) -> Result<SignUpView, PageError> {
    let sign_up = &cx.services.sign_up;
    let invitation: Option<Invitation> = if token.is_empty() {
        None
    } else {
        sign_up.invitation(token).await?
    };
    let invitation = match invitation {
        Some(found) if cx.services.invitations.is_spent(&found).await? => None,
        found => found,
    };
    let administrator = invitation
        .as_ref()
        .is_some_and(|invitation| invitation.kind == InvitationKind::FirstAdministrator);
    let mode = sign_up.mode();
    if mode == SignupMode::Closed && !administrator {
        return Err(Problem::SignupClosed.into());
    }
    let bound = invitation
        .as_ref()
        .and_then(|invitation| invitation.email.clone());
    let wanted = mode == SignupMode::Invite || !token.is_empty();
    Ok(SignUpView {
        email: bound.as_ref().map(ToString::to_string).unwrap_or_default(),
        invitation: token.to_owned(),
        ask_invitation: wanted && invitation.is_none(),
        email_bound: bound.is_some(),
        administrator,
        changeable: cx.renderer.login.change_username,
        nist: cx.services.password_policy.name() == PasswordPolicyName::Nist,
        terms: cx.renderer.terms_url.clone(),
        privacy: cx.renderer.privacy_url.clone(),
        ..SignUpView::default()
    })
}

/// The answer to whoever made an account or proved its address.
pub(super) fn signed_up(cx: &RequestContext<'_>, next: SignUpNext) -> Response<Bytes> {
    let name = match next {
        SignUpNext::Login => "login",
        SignUpNext::Verify => "verify",
        SignUpNext::Approval => "approval",
    };
    let to = with_query(Page::SignUpDone.path(), &[("next", name)]);
    cx.json_or_see_other(StatusCode::CREATED, &SignUpDone { next }, &to)
}

/// `/.auth/signup/done`
pub(super) fn get_done(cx: &RequestContext<'_>) -> Response<Bytes> {
    let next = match cx.parameter("next").as_str() {
        "verify" => SignUpNext::Verify,
        "approval" => SignUpNext::Approval,
        _ => SignUpNext::Login,
    };
    cx.page(StatusCode::OK, "signup-done.html", &SignUpDone { next })
}

pub(super) fn refused(
    cx: &RequestContext<'_>,
    view: SignUpView,
    faults: &[(SignUpField, FieldError)],
    refusal: Refusal,
) -> Response<Bytes> {
    let errors = cx.messages(faults);
    cx.refuse_form(
        FormRefusal { refusal, errors },
        ORDER,
        |problem, errors, alert| {
            let view = SignUpView {
                ask_invitation: view.ask_invitation || errors.contains_key("invitation"),
                email_bound: view.email_bound && !errors.contains_key("email"),
                email_taken: faults.iter().any(|(_, fault)| *fault == FieldError::EmailTaken),
                reset: cx.renderer.login.reset,
                errors,
                alert: Some(alert),
                ..view
            };
            cx.page(problem, "signup.html", &view)
        },
    )
}
