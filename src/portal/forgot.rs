//! `/.auth/forgot` and `/.auth/forgot/done`: asking for a link that sets a new password.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::form_errors::{ErrorSummary, Errors};
use super::forms::Fields;
use super::login::unavailable;
use super::renderer::PageRenderer;
use super::request_context::{RequestContext, ResponseFormat};
use crate::refusal::{Hint, Problem, Refusal};
use crate::services::{FieldError, LinkError, SignUpField};

/// The form as it is shown.
#[derive(Debug, Default, Serialize)]
pub(super) struct ForgotView {
    pub(super) email: String,
    pub(super) errors: Errors,
    pub(super) alert: Option<ErrorSummary>,
}

#[derive(Serialize)]
struct ResetRequested {}

impl Portal {
    /// `email`. The same answer for every address (S18).
    pub(super) async fn forgot(&self, context: &RequestContext<'_>, fields: &Fields) -> Response<Bytes> {
        let email = fields.text("email");
        match self.services.email_tokens.forgot(email, &context.origin()).await {
            Ok(()) if context.wants == ResponseFormat::Json => {
                self.renderer
                    .json(context, StatusCode::ACCEPTED, &ResetRequested {})
            }
            Ok(()) => self.renderer.see_other(context, "/.auth/forgot/done"),
            Err(LinkError::Invalid(faults)) => self.renderer.failed_forgot(context, email, &faults),
            Err(error) => self.renderer.refuse_visit(context, &refusal_of(&error)),
        }
    }
}

impl PageRenderer {
    pub(super) fn forgot_page(&self, context: &RequestContext<'_>) -> Response<Bytes> {
        self.where_reset(context, "forgot.html", &ForgotView::default())
    }

    pub(super) fn forgot_done(&self, context: &RequestContext<'_>) -> Response<Bytes> {
        self.where_reset(context, "forgot-done.html", &ResetRequested {})
    }

    pub(super) fn failed_forgot(
        &self,
        context: &RequestContext<'_>,
        email: &str,
        faults: &[(SignUpField, FieldError)],
    ) -> Response<Bytes> {
        let refusal = Refusal::new(Problem::InvalidInput);
        let errors = self.messages(context, faults);
        self.refuse_form(context, &refusal, errors, &["email"], |errors, alert| {
            let view = ForgotView {
                email: email.to_owned(),
                errors,
                alert: Some(alert),
            };
            self.page(context, refusal.problem, "forgot.html", &view)
        })
    }

    /// A page that is there only where a password can be reset.
    fn where_reset(
        &self,
        context: &RequestContext<'_>,
        template: &str,
        view: &impl Serialize,
    ) -> Response<Bytes> {
        if self.login.reset {
            self.page(context, StatusCode::OK, template, view)
        } else {
            self.refuse_visit(context, &Refusal::new(Problem::ResetDisabled))
        }
    }
}

/// What is answered where no field is to blame.
pub(super) fn refusal_of(error: &LinkError) -> Refusal {
    match error {
        LinkError::Void => Refusal::new(Problem::InvalidToken),
        LinkError::EmailTaken => Refusal::new(Problem::InvalidToken).hinting(Hint::EmailTaken),
        LinkError::NothingToProve => Refusal::new(Problem::NotFound),
        LinkError::ResetDisabled => Refusal::new(Problem::ResetDisabled),
        LinkError::Invalid(_) => Refusal::new(Problem::InvalidInput),
        LinkError::Busy | LinkError::Store(_) | LinkError::Unrecorded => unavailable(error.to_string()),
    }
}
