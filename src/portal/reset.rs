//! `/.auth/reset?token=`: setting a new password with a link.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::flash::FlashMessage;
use super::forgot::refusal_of;
use super::form_errors::{ErrorSummary, Errors};
use super::forms::{Fields, token_in};
use super::renderer::PageRenderer;
use super::request_context::{RequestContext, ResponseFormat};
use crate::config::PasswordPolicyName;
use crate::refusal::{Problem, Refusal};
use crate::services::{LinkError, SignUpNext};

/// The order of the form.
const ORDER: &[&str] = &["password", "password_confirm"];

/// The form as it is shown; the passwords never are.
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

impl Portal {
    /// Whoever only looks, a mail scanner for one, uses nothing up (S20).
    pub(super) async fn reset_page(&self, context: &RequestContext<'_>) -> Response<Bytes> {
        let token = token_in(&context.parameter("token")).to_owned();
        match self.services.email_tokens.resets(&token).await {
            Ok(()) => self.renderer.page(
                context,
                StatusCode::OK,
                "reset.html",
                &self.renderer.reset_view(token),
            ),
            Err(error) => self.renderer.refuse_link(context, &refusal_of(&error), true),
        }
    }

    /// `token`, `password`, `password_confirm`
    pub(super) async fn reset(&self, context: &RequestContext<'_>, mut fields: Fields) -> Response<Bytes> {
        let token = token_of(context, &fields);
        let (password, again) = (fields.secret("password"), fields.secret("password_confirm"));
        let links = &self.services.email_tokens;
        match links.reset(&token, &password, &again, &context.origin()).await {
            Ok(()) if context.wants == ResponseFormat::Json => {
                let next = SignUpNext::Login;
                self.renderer.json(context, StatusCode::OK, &ResetDone { next })
            }
            Ok(()) => {
                let mut response = self.renderer.see_other(context, "/.auth/login");
                self.renderer
                    .leave_notice(&mut response, FlashMessage::PasswordChanged);
                response
            }
            Err(LinkError::Invalid(faults)) => {
                let errors = self.renderer.messages(context, &faults);
                let refusal = Refusal::new(Problem::InvalidInput);
                self.renderer.failed_reset(context, token, &refusal, errors)
            }
            Err(error @ (LinkError::Void | LinkError::ResetDisabled)) => {
                self.renderer.refuse_link(context, &refusal_of(&error), true)
            }
            Err(error) => self
                .renderer
                .failed_reset(context, token, &refusal_of(&error), Errors::new()),
        }
    }
}

impl PageRenderer {
    pub(super) fn reset_view(&self, token: String) -> ResetView {
        ResetView {
            token,
            nist: self.password_policy == PasswordPolicyName::Nist,
            ..ResetView::default()
        }
    }

    pub(super) fn failed_reset(
        &self,
        context: &RequestContext<'_>,
        token: String,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        self.refuse_form(context, refusal, errors, ORDER, |errors, alert| {
            let view = ResetView {
                errors,
                alert: Some(alert),
                ..self.reset_view(token)
            };
            self.page(context, refusal.problem, "reset.html", &view)
        })
    }
}

/// The token of a form, or of the address to which it was sent.
pub(super) fn token_of(context: &RequestContext<'_>, fields: &Fields) -> String {
    match token_in(fields.text("token")) {
        "" => token_in(&context.parameter("token")).to_owned(),
        token => token.to_owned(),
    }
}
