//! The password asked again: before changes that matter, a while after it was last typed, and of whoever signed in with
//! an access key also before what administrators see.

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

/// For so long what was typed at the sign-in, or since, is proof enough.
const PROOF_LASTS: Duration = Duration::from_mins(15);

/// The field of every form that asks for it.
pub(super) const CURRENT_PASSWORD: &str = "current_password";

/// The `action` of a form that asks for the page itself, with the password.
const SHOW: &str = "show";

#[derive(Serialize)]
struct ReauthenticateView<'a> {
    /// Where the form leads: the page that asks.
    action: String,
    /// What was sent to it, to be sent again.
    sent: Vec<(&'a str, &'a str)>,
    who: &'a str,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

/// Asks somebody who wants to see what only whoever [is trusted](is_trusted) may.
pub(super) fn require_trust(cx: &SignedInContext<'_>, place: NavItem) -> Result<(), PageError> {
    if is_trusted(cx) {
        return Ok(());
    }
    Err(PageError::Answered(Box::new(ask(cx, place, None, None))))
}

/// Whether they signed in with the password, or with an access key and proved lately to know the password too: a key
/// lies in files of programs, and whoever finds one shall not come by more than it signs.
pub(super) fn is_trusted(cx: &SignedInContext<'_>) -> bool {
    cx.user.principal.method != SignInMethod::Iam || is_proved(cx)
}

fn is_proved(cx: &SignedInContext<'_>) -> bool {
    cx.services.sessions.is_proved(cx.user.session, PROOF_LASTS)
}

/// Passes whoever proved lately to know the password of the account, or does so with this form; else asks, and
/// what was sent is sent again with the password.
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

/// Asks; `fields` are those of the form that was sent, if one was; `error` says why what was typed proves nothing, if
/// anything was.
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

/// Whether a form asks for the page itself: it brought nothing but the password.
pub(super) fn is_shown_after(fields: &Fields) -> bool {
    fields.text("action") == SHOW
}

/// What is answered to a form that has to bring the password, and does not.
pub(super) fn proof_required(cx: &RequestContext<'_>) -> FormRefusal {
    cx.field_error(CURRENT_PASSWORD, "proof.required").into()
}

/// What is answered to a password that proves nothing: a message for its field, or a refusal of the whole.
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
