//! `/.auth/account`: who I am, and what to call me.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{done, find_account, form_refusal, place};
use crate::model::{AccessKey, Account, Agreement, Username};
use crate::portal::form_errors::{ErrorSummary, Errors, FormRefusal};
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::response::ResponseOutcome;
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::Problem;
use crate::route::AccountPage;
use crate::services::AccountSettingsError;

/// An account, as its owner reads it.
#[derive(Serialize)]
pub(in crate::portal) struct Profile<'a> {
    id: String,
    username: &'a str,
    former_usernames: &'a [Username],
    email: &'a str,
    email_verified: bool,
    pending_email: Option<PendingAddress<'a>>,
    name: &'a str,
    groups: &'a BTreeSet<String>,
    language: Option<&'a str>,
    created_at: String,
    password_changed_at: String,
    agreements: &'a [Agreement],
}

/// An address that the account moves to once that is confirmed.
#[derive(Serialize)]
pub(super) struct PendingAddress<'a> {
    email: &'a str,
    since: String,
}

/// An access key that is older than the password.
#[derive(Serialize)]
struct OlderKey<'a> {
    access_key: &'a str,
    name: &'a str,
}

/// The page, as programs read it.
#[derive(Serialize)]
struct ProfileDocument<'a> {
    #[serde(flatten)]
    account: Profile<'a>,
    older_access_keys: Vec<OlderKey<'a>>,
}

#[derive(Serialize)]
struct ProfileView<'a> {
    account: Profile<'a>,
    /// As it was typed.
    name: &'a str,
    agreed: Option<(String, &'a str)>,
    older_keys: Vec<OlderKey<'a>>,
    saved: bool,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

impl<'a> Profile<'a> {
    pub(super) fn of(account: &'a Account) -> Self {
        Self {
            id: account.id.to_string(),
            username: account.username.as_str(),
            former_usernames: &account.former_usernames,
            email: account.email.as_str(),
            email_verified: account.email_verified,
            pending_email: PendingAddress::of(account),
            name: account.name.as_deref().unwrap_or_default(),
            groups: &account.groups,
            language: account.language.as_deref(),
            created_at: account.created_at.to_string(),
            password_changed_at: account.password_changed_at.to_string(),
            agreements: &account.agreements,
        }
    }
}

impl<'a> PendingAddress<'a> {
    pub(super) fn of(account: &'a Account) -> Option<Self> {
        account.pending_email.as_ref().map(|pending| Self {
            email: pending.email.as_str(),
            since: pending.since.to_string(),
        })
    }
}

impl<'a> OlderKey<'a> {
    fn of(key: &'a AccessKey) -> Self {
        Self {
            access_key: key.id.as_str(),
            name: &key.name,
        }
    }
}

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    show(cx, None).await
}

/// `name`
pub(super) async fn post(cx: &SignedInContext<'_>, fields: &Fields) -> PageResult {
    let (settings, name) = (&cx.services.account_settings, fields.text("name"));
    match settings.change_name(cx.user.session, name, &cx.origin()).await {
        Ok(account) => {
            let to = done(AccountPage::Profile, "name");
            Ok(cx.json_or_see_other(StatusCode::OK, &Profile::of(&account), &to))
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

/// `refused` is a name that was typed and cannot be one, and why.
async fn show(cx: &SignedInContext<'_>, refused: Option<(&str, Errors)>) -> PageResult {
    let account = find_account(cx).await?;
    let older_keys = if cx.renderer.login.iam {
        cx.services.access_keys.older_than_password(&account).await?
    } else {
        Vec::new()
    };
    Ok(page(cx, &account, &older_keys, refused))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    account: &Account,
    older_keys: &[AccessKey],
    refused: Option<(&str, Errors)>,
) -> Response<Bytes> {
    let older_keys = older_keys.iter().map(OlderKey::of).collect();
    if cx.wants_json() {
        let document = ProfileDocument {
            account: Profile::of(account),
            older_access_keys: older_keys,
        };
        return cx.json(StatusCode::OK, &document);
    }
    let mut view = ProfileView {
        name: account.name.as_deref().unwrap_or_default(),
        agreed: account
            .agreements
            .last()
            .map(|agreement| (agreement.at.to_string(), agreement.version.as_str())),
        account: Profile::of(account),
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
