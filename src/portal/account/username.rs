//! `/.auth/account/username`: changes the username, if `login.change_username` allows it.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{done, find_account, place, submit_form};
use crate::api::AccountView;
use crate::model::{Account, Username};
use crate::portal::form_errors::{ErrorSummary, Errors, FormRefusal};
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::reauthenticate::CURRENT_PASSWORD;
use crate::portal::response::ResponseOutcome;
use crate::portal::signed_in::SignedInRequest;
use crate::route::AccountPage;

/// The fields of the form, in their order.
const ORDER: &[&str] = &["username", CURRENT_PASSWORD];

#[derive(Serialize)]
struct UsernameView<'a> {
    current: &'a str,
    former: &'a [Username],
    /// As typed.
    username: &'a str,
    saved: bool,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    Ok(page(cx, &find_account(cx).await?))
}

/// Fields: `username`, `current_password`.
pub(super) async fn post(cx: &SignedInContext<'_>, mut fields: Fields) -> PageResult {
    let password = fields.secret(CURRENT_PASSWORD);
    let (username, origin) = (fields.text("username"), cx.origin());
    let settings = &cx.services.account_settings;
    let change = settings.change_username(cx.user.session, username, &password, &origin);
    match submit_form(cx, &password, change).await {
        Ok(account) => {
            let to = done(AccountPage::Username, "username");
            Ok(cx.json_or_see_other(StatusCode::OK, &AccountView::for_owner(&account), &to))
        }
        Err(refusal) => Ok(refused(cx, &find_account(cx).await?, username, refusal)),
    }
}

pub(in crate::portal) fn page(cx: &SignedInRequest<'_>, account: &Account) -> Response<Bytes> {
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &AccountView::for_owner(account));
    }
    let view = UsernameView {
        saved: cx.parameter("done") == "username",
        ..UsernameView::of(account)
    };
    form(cx, StatusCode::OK, &view)
}

pub(in crate::portal) fn refused(
    cx: &SignedInRequest<'_>,
    account: &Account,
    username: &str,
    refusal: FormRefusal,
) -> Response<Bytes> {
    cx.refuse_form(refusal, ORDER, |problem, errors, alert| {
        let view = UsernameView {
            username,
            errors,
            alert: Some(alert),
            ..UsernameView::of(account)
        };
        form(cx, problem, &view)
    })
}

fn form(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    view: &UsernameView<'_>,
) -> Response<Bytes> {
    cx.page_with_nav(
        place(AccountPage::Username),
        outcome,
        "account-username.html",
        view,
    )
}

impl<'a> UsernameView<'a> {
    fn of(account: &'a Account) -> Self {
        Self {
            current: account.username.as_str(),
            former: &account.former_usernames,
            username: "",
            saved: false,
            errors: Errors::new(),
            alert: None,
        }
    }
}
