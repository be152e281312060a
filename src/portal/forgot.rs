//! `/.auth/forgot` and `/.auth/forgot/done`: asking for a link that sets a new password.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::alert::{Alert, Errors};
use super::forms::Fields;
use super::login::unavailable;
use super::site::Site;
use super::visit::{Visit, Wants};
use crate::refusal::{Hint, Problem, Refusal};
use crate::services::{FieldError, LinkError, SignUpField};

/// The form as it is shown.
#[derive(Debug, Default, Serialize)]
pub(super) struct ForgotView {
    pub(super) email: String,
    pub(super) errors: Errors,
    pub(super) alert: Option<Alert>,
}

#[derive(Serialize)]
struct Asked {}

impl Portal {
    /// `email`. The same answer for every address (S18).
    pub(super) async fn forgot(&self, visit: &Visit<'_>, fields: &Fields) -> Response<Bytes> {
        let email = fields.text("email");
        match self.services.mailed_links.forgot(email, &visit.origin()).await {
            Ok(()) if visit.wants == Wants::Json => self.site.json(visit, StatusCode::ACCEPTED, &Asked {}),
            Ok(()) => self.site.see_other(visit, "/.auth/forgot/done"),
            Err(LinkError::Invalid(faults)) => self.site.failed_forgot(visit, email, &faults),
            Err(error) => self.site.refuse_visit(visit, &refusal_of(&error)),
        }
    }
}

impl Site {
    pub(super) fn forgot_page(&self, visit: &Visit<'_>) -> Response<Bytes> {
        self.where_reset(visit, "forgot.html", &ForgotView::default())
    }

    pub(super) fn forgot_done(&self, visit: &Visit<'_>) -> Response<Bytes> {
        self.where_reset(visit, "forgot-done.html", &Asked {})
    }

    pub(super) fn failed_forgot(
        &self,
        visit: &Visit<'_>,
        email: &str,
        faults: &[(SignUpField, FieldError)],
    ) -> Response<Bytes> {
        let refusal = Refusal::new(Problem::InvalidInput);
        let errors = self.messages(visit, faults);
        self.refuse_form(visit, &refusal, errors, &["email"], |errors, alert| {
            let view = ForgotView {
                email: email.to_owned(),
                errors,
                alert: Some(alert),
            };
            self.page(visit, refusal.problem, "forgot.html", &view)
        })
    }

    /// A page that is there only where a password can be reset.
    fn where_reset(&self, visit: &Visit<'_>, template: &str, view: &impl Serialize) -> Response<Bytes> {
        if self.login.reset {
            self.page(visit, StatusCode::OK, template, view)
        } else {
            self.refuse_visit(visit, &Refusal::new(Problem::ResetDisabled))
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
