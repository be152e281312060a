//! `/.auth/forgot` and `/.auth/forgot/done`: requests a reset link.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::form_errors::{ErrorSummary, Errors};
use super::forms::Fields;
use super::page_context::{PageContext, PageError, PageResult, unavailable};
use super::request_context::RequestContext;
use crate::refusal::{Hint, Problem, Refusal};
use crate::route::Page;
use crate::services::{FieldError, LinkError, SignUpField};

/// The form, as it is shown.
#[derive(Debug, Default, Serialize)]
pub(super) struct ForgotView {
    pub(super) email: String,
    pub(super) errors: Errors,
    pub(super) alert: Option<ErrorSummary>,
}

#[derive(Serialize)]
struct ResetRequested {}

pub(super) fn get(cx: &RequestContext<'_>) -> PageResult {
    require_reset(cx)?;
    Ok(cx.page(StatusCode::OK, "forgot.html", &ForgotView::default()))
}

/// `/.auth/forgot/done`: the page after the request.
pub(super) fn get_done(cx: &RequestContext<'_>) -> PageResult {
    require_reset(cx)?;
    Ok(cx.page(StatusCode::OK, "forgot-done.html", &ResetRequested {}))
}

/// Fails unless `login.reset` is on.
fn require_reset(cx: &RequestContext<'_>) -> Result<(), PageError> {
    cx.renderer
        .login
        .reset
        .then_some(())
        .ok_or(Problem::ResetDisabled.into())
}

/// Fields: `email`. The response is equal for every address (S18).
pub(super) async fn post(cx: &PageContext<'_>, fields: &Fields) -> PageResult {
    let email = fields.text("email");
    match cx.services.email_tokens.forgot(email, &cx.origin()).await {
        Ok(()) => Ok(cx.json_or_see_other(StatusCode::ACCEPTED, &ResetRequested {}, Page::ForgotDone.path())),
        Err(LinkError::Invalid(faults)) => Ok(refused(cx, email, &faults)),
        Err(error) => Err(refusal_of(&error).into()),
    }
}

pub(super) fn refused(
    cx: &RequestContext<'_>,
    email: &str,
    faults: &[(SignUpField, FieldError)],
) -> Response<Bytes> {
    cx.refuse_form(
        cx.messages(faults).into(),
        &["email"],
        |problem, errors, alert| {
            let view = ForgotView {
                email: email.to_owned(),
                errors,
                alert: Some(alert),
            };
            cx.page(problem, "forgot.html", &view)
        },
    )
}

/// The refusal for an error that no field explains.
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
