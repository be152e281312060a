//! `/.auth/account/email`: moves the account to another address.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{done, find_account, place, submit_form};
use crate::api::{AccountView, PendingEmailView};
use crate::model::Account;
use crate::portal::form_errors::{ErrorSummary, Errors, FormRefusal};
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::reauthenticate::CURRENT_PASSWORD;
use crate::portal::response::ResponseOutcome;
use crate::portal::signed_in::SignedInRequest;
use crate::route::AccountPage;

/// The fields of the form, in their order.
const ORDER: &[&str] = &["email", CURRENT_PASSWORD];

#[derive(Default, Serialize)]
struct EmailView<'a> {
    email: &'a str,
    pending: Option<PendingEmailView>,
    /// The text of what was done, by its key.
    done: Option<&'static str>,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

#[derive(Serialize)]
struct EmailRequested {}

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    Ok(page(cx, &find_account(cx).await?))
}

/// Whether a form cancels the pending change.
pub(super) fn cancels(fields: &Fields) -> bool {
    fields.text("change") == "cancel"
}

/// Fields: `email`, `current_password`; or `change` "cancel", which cancels the pending change.
pub(super) async fn post(cx: &SignedInContext<'_>, mut fields: Fields) -> PageResult {
    let (settings, session, origin) = (&cx.services.account_settings, cx.user.session, cx.origin());
    if cancels(&fields) {
        let account = settings.cancel_email_change(session, &origin).await?;
        let to = done(AccountPage::Email, "cancelled");
        return Ok(cx.json_or_see_other(StatusCode::OK, &AccountView::for_owner(&account), &to));
    }
    let password = fields.secret(CURRENT_PASSWORD);
    let email = fields.text("email");
    let change = settings.change_email(session, email, &password, &origin);
    match submit_form(cx, &password, change).await {
        Ok(()) => {
            let to = done(AccountPage::Email, "asked");
            Ok(cx.json_or_see_other(StatusCode::ACCEPTED, &EmailRequested {}, &to))
        }
        Err(refusal) => Ok(refused(cx, &find_account(cx).await?, email, refusal)),
    }
}

pub(in crate::portal) fn page(cx: &SignedInRequest<'_>, account: &Account) -> Response<Bytes> {
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &AccountView::for_owner(account));
    }
    let view = EmailView {
        pending: AccountView::for_owner(account).pending_email,
        done: match cx.parameter("done").as_str() {
            "asked" => Some("account.email-asked"),
            "cancelled" => Some("account.email-cancelled"),
            _ => None,
        },
        ..EmailView::default()
    };
    form(cx, StatusCode::OK, &view)
}

pub(in crate::portal) fn refused(
    cx: &SignedInRequest<'_>,
    account: &Account,
    email: &str,
    refusal: FormRefusal,
) -> Response<Bytes> {
    cx.refuse_form(refusal, ORDER, |problem, errors, alert| {
        let view = EmailView {
            email,
            pending: AccountView::for_owner(account).pending_email,
            done: None,
            errors,
            alert: Some(alert),
        };
        form(cx, problem, &view)
    })
}

fn form(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    view: &EmailView<'_>,
) -> Response<Bytes> {
    cx.page_with_nav(place(AccountPage::Email), outcome, "account-email.html", view)
}
