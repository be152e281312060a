//! `/.auth/account`: the account's data; changes the display name.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{done, find_account, form_refusal, place};
use crate::api::{AccessKeyView, AccountView};
use crate::model::{Account, Agreement};
use crate::portal::form_errors::{ErrorSummary, Errors, FormRefusal};
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::response::ResponseOutcome;
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::Problem;
use crate::route::AccountPage;
use crate::services::{AccessKeyInfo, AccountSettingsError};

/// The page as JSON.
#[derive(Serialize)]
struct ProfileDocument {
    #[serde(flatten)]
    account: AccountView,
    older_access_keys: Vec<AccessKeyView>,
}

#[derive(Serialize)]
struct ProfileView<'a> {
    account: AccountView,
    /// As typed.
    name: &'a str,
    agreed: Option<&'a Agreement>,
    older_keys: Vec<AccessKeyView>,
    saved: bool,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    show(cx, None).await
}

/// Fields: `name`.
pub(super) async fn post(cx: &SignedInContext<'_>, fields: &Fields) -> PageResult {
    let (settings, name) = (&cx.services.account_settings, fields.text("name"));
    match settings.change_name(cx.user.session, name, &cx.origin()).await {
        Ok(account) => {
            let to = done(AccountPage::Profile, "name");
            Ok(cx.json_or_see_other(StatusCode::OK, &AccountView::for_owner(&account), &to))
        }
        Err(error @ AccountSettingsError::Name) => {
            let FormRefusal { refusal, errors } = form_refusal(cx, error);
            if cx.wants_json() {
                return Ok(cx.refuse_fields(&refusal, errors));
            }
            show(cx, Some((name, errors))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `refused`: an invalid name that was typed, and its messages.
async fn show(cx: &SignedInContext<'_>, refused: Option<(&str, Errors)>) -> PageResult {
    let account = find_account(cx).await?;
    let older_keys = if cx.renderer.login.iam {
        cx.services.access_keys.older_than_password(&account).await?
    } else {
        Vec::new()
    };
    Ok(page(cx, &account, older_keys, refused))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    account: &Account,
    older_keys: Vec<AccessKeyInfo>,
    refused: Option<(&str, Errors)>,
) -> Response<Bytes> {
    let older_keys = older_keys.into_iter().map(AccessKeyView::from).collect();
    if cx.wants_json() {
        let document = ProfileDocument {
            account: AccountView::for_owner(account),
            older_access_keys: older_keys,
        };
        return cx.json(StatusCode::OK, &document);
    }
    let mut view = ProfileView {
        name: account.name.as_deref().unwrap_or_default(),
        agreed: account.agreements.last(),
        account: AccountView::for_owner(account),
        older_keys,
        saved: matches!(cx.parameter("done").as_str(), "name" | "email"),
        errors: Errors::new(),
        alert: None,
    };
    let mut outcome = ResponseOutcome::from(StatusCode::OK);
    if let Some((name, errors)) = refused {
        outcome = Problem::InvalidInput.into();
        view.alert = Some(ErrorSummary::listing(
            cx.text("page.required"),
            &errors,
            &["name"],
        ));
        (view.name, view.errors) = (name, errors);
    }
    let place = place(AccountPage::Profile);
    cx.page_with_nav(place, outcome, "account-profile.html", &view)
}
