//! `/.auth/account/keys`: what programs prove themselves with.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{done, find_account, place, too_often};
use crate::api::{AccessKeyList, AccessKeyView, CreatedAccessKey, RevokedAccessKeys};
use crate::model::{AccessKeyId, KeyScope};
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageError, PageResult, SignedInContext, refusal_of_store, unavailable};
use crate::portal::reauthenticate::{is_trusted, require_reauthentication};
use crate::portal::request_context::RequestContext;
use crate::portal::response::ResponseOutcome;
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::{Problem, Refusal};
use crate::route::AccountPage;
use crate::services::{AccessKeyChange, AccessKeyError, AccessKeyInfo, Actor, NewAccessKey};

/// For how many days a key may be made; 0: until it is revoked.
const DAYS: [u64; 5] = [30, 90, 180, 365, 0];

#[derive(Serialize)]
struct KeysView<'a> {
    keys: Vec<AccessKeyView>,
    made: Option<CreatedAccessKey>,
    name: &'a str,
    days: [u64; 5],
    done: String,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

/// What a form asks for.
enum KeyAction {
    Create,
    RevokeOlder,
    Change(AccessKeyId, AccessKeyChange),
}

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    show(cx, None, None).await
}

/// `change`: "disable", "enable" or "revoke" for `access_key`; "revoke-older" for those older than the password; without it `name` and `days` of a new one.
pub(super) async fn post(cx: &SignedInContext<'_>, mut fields: Fields) -> PageResult {
    let asked = KeyAction::of(&fields).ok_or(Problem::NotFound)?;
    // Whoever finds an open browser may switch a key off, and gets none; whoever has a key does nothing to another.
    let gives = matches!(
        asked,
        KeyAction::Create | KeyAction::Change(_, AccessKeyChange::Enable)
    );
    if gives || !is_trusted(cx) {
        require_reauthentication(cx, place(AccountPage::Keys), &mut fields).await?;
    }
    let by = Actor::owner(cx.user.session, None);
    let (keys, origin) = (&cx.services.access_keys, cx.origin());
    match asked {
        KeyAction::Create => create(cx, &fields, &by).await,
        KeyAction::RevokeOlder => {
            let account = find_account(cx).await?;
            let revoked_count = keys.revoke_older(&account, &by, &origin).await?;
            let to = done(AccountPage::Keys, "older");
            Ok(cx.json_or_see_other(StatusCode::OK, &RevokedAccessKeys { revoked_count }, &to))
        }
        KeyAction::Change(id, change) => {
            let owner = Some(cx.user.principal.account);
            let key = keys.change(id, owner, change, &by, &origin).await?;
            let to = done(
                AccountPage::Keys,
                match change {
                    AccessKeyChange::Disable => "disabled",
                    AccessKeyChange::Enable => "enabled",
                    AccessKeyChange::Revoke => "revoked",
                },
            );
            let view = AccessKeyView::from(keys.info(key).await);
            Ok(cx.json_or_see_other(StatusCode::OK, &view, &to))
        }
    }
}

async fn create(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let account = find_account(cx).await?;
    let (name, ttl) = (fields.text("name"), ttl(fields.text("days")));
    let new = NewAccessKey {
        name: name.to_owned(),
        ttl: Some(ttl.ok_or(Problem::InvalidInput)?).filter(|ttl| !ttl.is_zero()),
        scope: KeyScope::default(),
    };
    let keys = &cx.services.access_keys;
    match keys.create(&account, new, by, &cx.origin()).await {
        Ok((key, secret)) => {
            let created = CreatedAccessKey::new(keys.info(key).await, &secret);
            if cx.wants_json() {
                return Ok(cx.json(StatusCode::CREATED, &created));
            }
            show(cx, Some(created), None).await
        }
        Err(error @ (AccessKeyError::Name | AccessKeyError::TooMany(_))) => {
            if cx.wants_json() {
                let refusal = Refusal::new(Problem::InvalidInput);
                return Ok(cx.refuse_fields(&refusal, name_errors(cx, &error)));
            }
            show(cx, None, Some((name, error))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn show(
    cx: &SignedInContext<'_>,
    created: Option<CreatedAccessKey>,
    refused: Option<(&str, AccessKeyError)>,
) -> PageResult {
    let keys = &cx.services.access_keys;
    let keys = keys.list(Some(cx.user.principal.account)).await?;
    Ok(page(cx, keys, created, refused))
}

/// `refused` is the name that was typed, and why there is no key of it.
pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    keys: Vec<AccessKeyInfo>,
    created: Option<CreatedAccessKey>,
    refused: Option<(&str, AccessKeyError)>,
) -> Response<Bytes> {
    let list = AccessKeyList::from(keys);
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &list);
    }
    let mut view = KeysView {
        keys: list.access_keys,
        made: created,
        name: "",
        days: DAYS,
        done: cx.parameter("done"),
        errors: Errors::new(),
        alert: None,
    };
    let mut outcome = ResponseOutcome::from(StatusCode::OK);
    if let Some((name, error)) = refused {
        let errors = name_errors(cx, &error);
        outcome = Problem::InvalidInput.into();
        view.alert = Some(ErrorSummary::listing(
            cx.text("page.required"),
            &errors,
            &["name"],
        ));
        (view.name, view.errors) = (name, errors);
    }
    cx.page_with_nav(place(AccountPage::Keys), outcome, "account-keys.html", &view)
}

fn name_errors(cx: &RequestContext<'_>, error: &AccessKeyError) -> Errors {
    let AccessKeyError::TooMany(most) = error else {
        return cx.field_error("name", "keys.name-refused");
    };
    let texts = &cx.renderer.texts;
    Errors::from([("name", texts.count(cx.lang, "keys.too-many", *most as u64))])
}

impl KeyAction {
    fn of(fields: &Fields) -> Option<Self> {
        let change = match fields.text("change") {
            "" => return Some(Self::Create),
            "revoke-older" => return Some(Self::RevokeOlder),
            "disable" => AccessKeyChange::Disable,
            "enable" => AccessKeyChange::Enable,
            "revoke" => AccessKeyChange::Revoke,
            _ => return None,
        };
        let id = fields.text("access_key").parse().ok()?;
        Some(Self::Change(id, change))
    }
}

/// For how long, by the number of days that was sent.
fn ttl(days: &str) -> Option<Duration> {
    let days = if days.is_empty() {
        0
    } else {
        days.parse::<u16>().ok()?
    };
    Some(Duration::from_hours(24 * u64::from(days)))
}

impl From<AccessKeyError> for PageError {
    fn from(error: AccessKeyError) -> Self {
        Self::Refused(match &error {
            AccessKeyError::NotFound(_) => Refusal::new(Problem::NotFound),
            AccessKeyError::TooMany(_) | AccessKeyError::Name => Refusal::new(Problem::InvalidInput),
            AccessKeyError::TooOften(error) => too_often(error),
            AccessKeyError::NoAccount => Refusal::new(Problem::NotAuthenticated),
            AccessKeyError::Store(error) => refusal_of_store(error),
            AccessKeyError::SecretCipher(_) => unavailable(error.to_string()),
        })
    }
}
