//! `/.auth/account/delete`: deletes the account.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{place, submit_form};
use crate::portal::form_errors::{ErrorSummary, Errors, FormRefusal};
use crate::portal::forms::Fields;
use crate::portal::logout::clear_browser;
use crate::portal::page_context::SignedInContext;
use crate::portal::reauthenticate::CURRENT_PASSWORD;
use crate::portal::request_context::RequestContext;
use crate::portal::response::ResponseOutcome;
use crate::portal::signed_in::SignedInRequest;
use crate::route::AccountPage;

#[derive(Default, Serialize)]
struct DeleteView<'a> {
    who: &'a str,
    username: &'a str,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

pub(in crate::portal) fn get(cx: &SignedInRequest<'_>) -> Response<Bytes> {
    form(cx, StatusCode::OK, Errors::new(), None)
}

/// Fields: `current_password`.
pub(super) async fn post(cx: &SignedInContext<'_>, mut fields: Fields) -> Response<Bytes> {
    let (password, origin) = (fields.secret(CURRENT_PASSWORD), cx.origin());
    let settings = &cx.services.account_settings;
    let deletion = settings.delete(cx.user.session, &password, &origin);
    if let Err(refusal) = submit_form(cx, &password, deletion).await {
        return refused(cx, refusal);
    }
    let mut response = if cx.wants_json() {
        cx.nothing()
    } else {
        deleted(cx)
    };
    clear_browser(cx.services, &mut response);
    response
}

pub(in crate::portal) fn deleted(cx: &RequestContext<'_>) -> Response<Bytes> {
    cx.page(StatusCode::OK, "account-deleted.html", &())
}

pub(in crate::portal) fn refused(cx: &SignedInRequest<'_>, refusal: FormRefusal) -> Response<Bytes> {
    cx.refuse_form(refusal, &[CURRENT_PASSWORD], |problem, errors, alert| {
        form(cx, problem, errors, Some(alert))
    })
}

fn form(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    errors: Errors,
    alert: Option<ErrorSummary>,
) -> Response<Bytes> {
    let view = DeleteView {
        who: cx.user.principal.email.as_str(),
        username: cx.user.principal.username.as_str(),
        errors,
        alert,
    };
    cx.page_with_nav(place(AccountPage::Delete), outcome, "account-delete.html", &view)
}
