//! `/.auth/verify?token=`: proving an address with a link, or asking for that link once more.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::flash::FlashMessage;
use super::forgot::refusal_of;
use super::forms::{Fields, token_in};
use super::renderer::PageRenderer;
use super::request_context::{RequestContext, ResponseFormat};
use super::reset::token_of;
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
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
    /// A new link is to be had from the page for forgotten passwords.
    again: bool,
}

impl Portal {
    /// Whoever only looks, a mail scanner for one, uses nothing up (S20).
    pub(super) async fn verify_page(&self, context: &RequestContext<'_>) -> Response<Bytes> {
        let token = token_in(&context.parameter("token")).to_owned();
        match self.services.email_tokens.confirmation(&token).await {
            Ok(confirmation) => self.renderer.verify_form(context, &token, &confirmation),
            Err(error) => self.renderer.refuse_link(context, &refusal_of(&error), false),
        }
    }

    /// `token`; or `email` alone, to which the link is sent once more.
    pub(super) async fn verify(
        &self,
        context: &RequestContext<'_>,
        principal: Option<&Principal>,
        fields: &Fields,
    ) -> Response<Bytes> {
        let (token, links) = (token_of(context, fields), &self.services.email_tokens);
        let email = fields.text("email");
        if token.is_empty() && !email.is_empty() {
            return match links.send_again(email, &context.origin()).await {
                Ok(()) => self.renderer.sent_again(context),
                Err(LinkError::Invalid(faults)) => {
                    let errors = self.renderer.messages(context, &faults);
                    let refusal = Refusal::new(Problem::InvalidInput);
                    match context.wants {
                        ResponseFormat::Json => self.renderer.refuse_fields(context, &refusal, errors),
                        ResponseFormat::Html => self.renderer.refuse_visit(context, &refusal),
                    }
                }
                Err(error) => self.renderer.refuse_visit(context, &refusal_of(&error)),
            };
        }
        match links.confirm(&token, &context.origin()).await {
            Ok((_, next)) if context.wants == ResponseFormat::Json => {
                self.renderer.json(context, StatusCode::OK, &VerifyDone { next })
            }
            Ok((confirmation, _)) if confirmation.moves => {
                let mut response = self.renderer.see_other(context, "/.auth/account?done=email");
                if principal.is_none() {
                    self.renderer
                        .leave_notice(&mut response, FlashMessage::EmailChanged);
                }
                response
            }
            Ok((_, next)) => self.renderer.signed_up(context, next),
            Err(error) => self.renderer.refuse_link(context, &refusal_of(&error), false),
        }
    }
}

impl PageRenderer {
    pub(super) fn verify_form(
        &self,
        context: &RequestContext<'_>,
        token: &str,
        confirmation: &Confirmation,
    ) -> Response<Bytes> {
        let view = VerifyView {
            token,
            email: confirmation.email.as_str(),
            moves: confirmation.moves,
        };
        self.page(context, StatusCode::OK, "verify.html", &view)
    }

    fn sent_again(&self, context: &RequestContext<'_>) -> Response<Bytes> {
        let next = SignUpNext::Verify;
        match context.wants {
            ResponseFormat::Json => self.json(context, StatusCode::ACCEPTED, &VerifyDone { next }),
            ResponseFormat::Html => self.signed_up(context, next),
        }
    }

    /// A link that does nothing is refused with a way to another one. `resets`: it would have set a new password.
    pub(super) fn refuse_link(
        &self,
        context: &RequestContext<'_>,
        refusal: &Refusal,
        resets: bool,
    ) -> Response<Bytes> {
        if context.wants == ResponseFormat::Json || refusal.problem != Problem::InvalidToken {
            return self.refuse_visit(context, refusal);
        }
        let view = VoidView {
            status: refusal.problem.status().as_u16(),
            slug: refusal.problem.slug(),
            title: self.title(context, refusal.problem),
            detail: self.detail(context, refusal),
            request_id: context.head.id.to_string(),
            again: resets && self.login.reset,
        };
        self.page(context, refusal.problem, "link-void.html", &view)
    }
}
