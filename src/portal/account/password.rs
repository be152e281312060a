//! `/.auth/account/password`: changes the password.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{done, place, submit_form};
use crate::config::PasswordPolicyName;
use crate::portal::form_errors::{ErrorSummary, Errors, FormRefusal};
use crate::portal::forms::Fields;
use crate::portal::page_context::SignedInContext;
use crate::portal::reauthenticate::CURRENT_PASSWORD;
use crate::portal::response::ResponseOutcome;
use crate::portal::signed_in::SignedInRequest;
use crate::route::AccountPage;
use crate::services::PasswordForm;

/// The fields of the form, in their order.
const ORDER: &[&str] = &[CURRENT_PASSWORD, "password", "password_confirm"];

#[derive(Default, Serialize)]
struct PasswordView {
    nist: bool,
    saved: bool,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

pub(in crate::portal) fn get(cx: &SignedInRequest<'_>) -> Response<Bytes> {
    let view = PasswordView {
        saved: cx.parameter("done") == "password",
        ..PasswordView::default()
    };
    page(cx, StatusCode::OK, view)
}

/// Fields: `current_password`, `password`, `password_confirm`.
pub(super) async fn post(cx: &SignedInContext<'_>, mut fields: Fields) -> Response<Bytes> {
    let form = PasswordForm {
        current: fields.secret(CURRENT_PASSWORD),
        password: fields.secret("password"),
        password_confirm: fields.secret("password_confirm"),
    };
    let (settings, origin) = (&cx.services.account_settings, cx.origin());
    let change = settings.change_password(cx.user.session, &form, &origin);
    match submit_form(cx, &form.current, change).await {
        Ok(_) => cx.nothing_or_see_other(&done(AccountPage::Password, "password")),
        Err(refusal) => refused(cx, refusal),
    }
}

pub(in crate::portal) fn refused(cx: &SignedInRequest<'_>, refusal: FormRefusal) -> Response<Bytes> {
    cx.refuse_form(refusal, ORDER, |problem, errors, alert| {
        let view = PasswordView {
            errors,
            alert: Some(alert),
            ..PasswordView::default()
        };
        page(cx, problem, view)
    })
}

fn page(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    view: PasswordView,
) -> Response<Bytes> {
    let view = PasswordView {
        nist: cx.renderer.password_policy == PasswordPolicyName::Nist,
        ..view
    };
    cx.page_with_nav(
        place(AccountPage::Password),
        outcome,
        "account-password.html",
        &view,
    )
}
