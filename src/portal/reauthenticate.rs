//! Reauthentication: asks for the password again before changes, if its last check is old, and in sessions
//! that an access key started also before the administrators' pages.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde::Serialize;

use super::error_response::set_retry_after;
use super::form_errors::{ErrorSummary, Errors, FormRefusal};
use super::forms::Fields;
use super::login::refusal_of;
use super::page_context::{PageError, SignedInContext};
use super::request_context::RequestContext;
use super::signed_in::{NavItem, SignedInRequest};
use crate::model::SignInMethod;
use crate::refusal::{Hint, Problem, Refusal};
use crate::services::SignInError;

/// How long a check of the password counts.
const PROOF_LASTS: Duration = Duration::from_mins(15);

/// The field with the password.
pub(super) const CURRENT_PASSWORD: &str = "current_password";

/// The `action` of a form that asks only to show the page.
const SHOW: &str = "show";

#[derive(Serialize)]
struct ReauthenticateView<'a> {
    /// The form's target: the page that requires the password.
    action: String,
    /// The fields of the refused form, to be sent again.
    sent: Vec<(&'a str, &'a str)>,
    who: &'a str,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

/// Shows the form for the password unless the session [is trusted](is_trusted).
pub(super) fn require_trust(cx: &SignedInContext<'_>, place: NavItem) -> Result<(), PageError> {
    if is_trusted(cx) {
        return Ok(());
    }
    Err(PageError::Answered(Box::new(ask(cx, place, None, None))))
}

/// Returns whether the session started with the password, or its password was checked recently: access keys
/// are in the files of programs, and a stolen one must give no more than what it signs.
pub(super) fn is_trusted(cx: &SignedInContext<'_>) -> bool {
    cx.user.principal.method != SignInMethod::Iam || is_proved(cx)
}

fn is_proved(cx: &SignedInContext<'_>) -> bool {
    cx.services.sessions.is_proved(cx.user.session, PROOF_LASTS)
}

/// Passes if the password was checked recently, or this form's is right; else shows the form for the
/// password, which sends the fields again.
pub(super) async fn require_reauthentication(
    cx: &SignedInContext<'_>,
    place: NavItem,
    fields: &mut Fields,
) -> Result<(), PageError> {
    if is_proved(cx) {
        return Ok(());
    }
    let password = fields.secret(CURRENT_PASSWORD);
    let error = if password.expose().is_empty() {
        None
    } else {
        let (sign_in, origin) = (&cx.services.sign_in, cx.origin());
        match sign_in.reauthenticate(cx.user.session, &password, &origin).await {
            Ok(_) => return Ok(()),
            Err(error) => Some(error),
        }
    };
    let asked = ask(cx, place, Some(fields), error.as_ref());
    Err(PageError::Answered(Box::new(asked)))
}

/// Shows the form for the password. `fields` are those of the refused form, if there was one; `error` says
/// why the password was refused, if there was one.
pub(super) fn ask(
    cx: &SignedInRequest<'_>,
    place: NavItem,
    fields: Option<&Fields>,
    error: Option<&SignInError>,
) -> Response<Bytes> {
    let FormRefusal { refusal, errors } = match error {
        None if fields.is_some() => proof_required(cx),
        None => FormRefusal {
            refusal: Refusal::new(Problem::Forbidden).hinting(Hint::PasswordFirst),
            ..proof_required(cx)
        },
        Some(error) => proof_refusal(cx, error),
    };
    if cx.wants_json() {
        return cx.refuse_fields(&refusal, errors);
    }
    let alert = (error.is_some() && errors.is_empty())
        .then(|| ErrorSummary::about(cx.title(refusal.problem), cx.detail(&refusal)));
    let sent = fields.map_or_else(|| vec![("action", SHOW)], Fields::sent);
    let view = ReauthenticateView {
        action: if fields.is_none_or(is_shown_after) {
            cx.place()
        } else {
            cx.head.path.to_owned()
        },
        sent,
        who: cx.user.principal.email.as_str(),
        errors: if error.is_some() { errors } else { Errors::new() },
        alert,
    };
    let mut response = cx.page_with_nav(place, refusal.problem, "proof.html", &view);
    set_retry_after(&mut response, refusal.retry_after);
    response
}

/// Returns whether a form carried only the password, to show the page.
pub(super) fn is_shown_after(fields: &Fields) -> bool {
    fields.text("action") == SHOW
}

/// The refusal of a form without the password.
pub(super) fn proof_required(cx: &RequestContext<'_>) -> FormRefusal {
    cx.field_error(CURRENT_PASSWORD, "proof.required").into()
}

/// The refusal of a wrong password: a message for its field, or a refusal of the whole form.
pub(super) fn proof_refusal(cx: &RequestContext<'_>, error: &SignInError) -> FormRefusal {
    match error {
        SignInError::InvalidCredentials => cx.field_error(CURRENT_PASSWORD, "proof.wrong").into(),
        SignInError::NotVerified
        | SignInError::NotApproved
        | SignInError::Disabled
        | SignInError::MustAgree => Refusal::new(Problem::NotAuthenticated).into(),
        SignInError::Locked(_)
        | SignInError::RateLimited(_)
        | SignInError::Store(_)
        | SignInError::Busy
        | SignInError::Unrecorded => refusal_of(error).into(),
    }
}
