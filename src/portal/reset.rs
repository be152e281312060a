//! `/.auth/reset?token=`: sets a new password with a mailed link.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::flash::{self, FlashMessage};
use super::forgot::refusal_of;
use super::form_errors::{ErrorSummary, Errors, FormRefusal};
use super::forms::{Fields, token_in};
use super::page_context::PageContext;
use super::request_context::RequestContext;
use super::verify::refuse_link;
use crate::config::PasswordPolicyName;
use crate::route::Page;
use crate::services::{LinkError, SignUpNext};

/// The fields of the form, in their order.
const ORDER: &[&str] = &["password", "password_confirm"];

/// The form, as it is shown, without the passwords.
#[derive(Debug, Default, Serialize)]
pub(super) struct ResetView {
    pub(super) token: String,
    pub(super) nist: bool,
    pub(super) errors: Errors,
    pub(super) alert: Option<ErrorSummary>,
}

#[derive(Serialize)]
struct ResetDone {
    next: SignUpNext,
}

/// Does not consume the token: a mail scanner may open the link (S20).
pub(super) async fn get(cx: &PageContext<'_>) -> Response<Bytes> {
    let token = token_in(&cx.parameter("token")).to_owned();
    match cx.services.email_tokens.resets(&token).await {
        Ok(()) => cx.page(StatusCode::OK, "reset.html", &empty(cx, token)),
        Err(error) => refuse_link(cx, &refusal_of(&error), true),
    }
}

/// Fields: `token`, `password`, `password_confirm`.
pub(super) async fn post(cx: &PageContext<'_>, mut fields: Fields) -> Response<Bytes> {
    let token = token_of(cx, &fields);
    let (password, again) = (fields.secret("password"), fields.secret("password_confirm"));
    let links = &cx.services.email_tokens;
    match links.reset(&token, &password, &again, &cx.origin()).await {
        Ok(()) if cx.wants_json() => {
            let next = SignUpNext::Login;
            cx.json(StatusCode::OK, &ResetDone { next })
        }
        Ok(()) => {
            let mut response = cx.see_other(Page::Login.path());
            flash::leave(cx.renderer, &mut response, FlashMessage::PasswordChanged);
            response
        }
        Err(LinkError::Invalid(faults)) => refused(cx, token, cx.messages(&faults).into()),
        Err(error @ (LinkError::Void | LinkError::ResetDisabled)) => {
            refuse_link(cx, &refusal_of(&error), true)
        }
        Err(error) => refused(cx, token, refusal_of(&error).into()),
    }
}

/// The form without errors.
pub(super) fn empty(cx: &RequestContext<'_>, token: String) -> ResetView {
    ResetView {
        token,
        nist: cx.renderer.password_policy == PasswordPolicyName::Nist,
        ..ResetView::default()
    }
}

pub(super) fn refused(cx: &RequestContext<'_>, token: String, refused: FormRefusal) -> Response<Bytes> {
    cx.refuse_form(refused, ORDER, |problem, errors, alert| {
        let view = ResetView {
            errors,
            alert: Some(alert),
            ..empty(cx, token)
        };
        cx.page(problem, "reset.html", &view)
    })
}

/// The token of a form, or else of its URL.
pub(super) fn token_of(cx: &RequestContext<'_>, fields: &Fields) -> String {
    match token_in(fields.text("token")) {
        "" => token_in(&cx.parameter("token")).to_owned(),
        token => token.to_owned(),
    }
}
