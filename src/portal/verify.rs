//! `/.auth/verify?token=`: verifies an address with a mailed link, or mails the link again.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::flash::{self, FlashMessage};
use super::forgot::refusal_of;
use super::forms::{Fields, token_in};
use super::page_context::{PageContext, PageResult};
use super::request_context::RequestContext;
use super::reset::token_of;
use super::response::with_query;
use super::signup::signed_up;
use crate::refusal::{Problem, Refusal};
use crate::route::AccountPage;
use crate::services::{Confirmation, LinkError, SignUpNext};

#[derive(Serialize)]
struct VerifyView<'a> {
    token: &'a str,
    email: &'a str,
    moves: bool,
}

#[derive(Serialize)]
struct VerifyDone {
    next: SignUpNext,
}

#[derive(Serialize)]
struct VoidView<'a> {
    status: u16,
    slug: &'static str,
    title: &'a str,
    detail: String,
    request_id: String,
    /// Whether the page for forgotten passwords has a new link.
    again: bool,
}

/// Does not consume the token: a mail scanner may open the link (S20).
pub(super) async fn get(cx: &PageContext<'_>) -> Response<Bytes> {
    let token = token_in(&cx.parameter("token")).to_owned();
    match cx.services.email_tokens.confirmation(&token).await {
        Ok(confirmation) => form(cx, &token, &confirmation),
        Err(error) => refuse_link(cx, &refusal_of(&error), false),
    }
}

/// Fields: `token`; or only `email`, to which the link is mailed again.
pub(super) async fn post(cx: &PageContext<'_>, fields: &Fields) -> PageResult {
    let (token, email) = (token_of(cx, fields), fields.text("email"));
    if token.is_empty() && !email.is_empty() {
        return send_again(cx, email).await;
    }
    Ok(
        match cx.services.email_tokens.confirm(&token, &cx.origin()).await {
            Ok((_, next)) if cx.wants_json() => cx.json(StatusCode::OK, &VerifyDone { next }),
            Ok((confirmation, _)) if confirmation.moves => {
                let to = with_query(AccountPage::Profile.path(), &[("done", "email")]);
                let mut response = cx.see_other(&to);
                if cx.visitor.principal.is_none() {
                    flash::leave(cx.renderer, &mut response, FlashMessage::EmailChanged);
                }
                response
            }
            Ok((_, next)) => signed_up(cx, next),
            Err(error) => refuse_link(cx, &refusal_of(&error), false),
        },
    )
}

async fn send_again(cx: &PageContext<'_>, email: &str) -> PageResult {
    let next = SignUpNext::Verify;
    match cx.services.email_tokens.send_again(email, &cx.origin()).await {
        Ok(()) if cx.wants_json() => Ok(cx.json(StatusCode::ACCEPTED, &VerifyDone { next })),
        Ok(()) => Ok(signed_up(cx, next)),
        Err(LinkError::Invalid(faults)) if cx.wants_json() => {
            let refusal = Refusal::new(Problem::InvalidInput);
            Ok(cx.refuse_fields(&refusal, cx.messages(&faults)))
        }
        Err(error) => Err(refusal_of(&error).into()),
    }
}

pub(super) fn form(cx: &RequestContext<'_>, token: &str, confirmation: &Confirmation) -> Response<Bytes> {
    let view = VerifyView {
        token,
        email: confirmation.email.as_str(),
        moves: confirmation.moves,
    };
    cx.page(StatusCode::OK, "verify.html", &view)
}

/// Refuses a void link, with a way to a new one. `resets`: whether it would have set a new password.
pub(super) fn refuse_link(cx: &RequestContext<'_>, refusal: &Refusal, resets: bool) -> Response<Bytes> {
    if cx.wants_json() || refusal.problem != Problem::InvalidToken {
        return cx.refuse(refusal);
    }
    let view = VoidView {
        status: refusal.problem.status().as_u16(),
        slug: refusal.problem.slug(),
        title: cx.title(refusal.problem),
        detail: cx.detail(refusal),
        request_id: cx.head.id.to_string(),
        again: resets && cx.renderer.login.reset,
    };
    cx.page(refusal.problem, "link-void.html", &view)
}
