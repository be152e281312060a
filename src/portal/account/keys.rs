//! `/.auth/account/keys`: the account's access keys.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::Serialize;

use super::{done, find_account, place, too_often};
use crate::api::{AccessKeyList, AccessKeyView, CreatedAccessKey, RevokedAccessKeys};
use crate::model::{AccessKeyId, AuditDetail, DetailKey, KeyScope};
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageError, PageResult, SignedInContext, refusal_of_store, unavailable};
use crate::portal::reauthenticate::{is_trusted, require_reauthentication};
use crate::portal::request_context::RequestContext;
use crate::portal::response::{ResponseOutcome, with_query};
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::{Problem, Refusal};
use crate::request::parse_decimal;
use crate::route::AccountPage;
use crate::secret::Secret;
use crate::services::{
    AccessKeyChange, AccessKeyError, AccessKeyInfo, Actor, Event, Kind, LoadedRows, NewAccessKey, ShownOn,
};

/// The lifetimes of a new key that are offered, in days; 0: until it is revoked.
const DAYS: [u64; 5] = [30, 90, 180, 365, 0];

#[derive(Serialize)]
struct KeysView<'a> {
    keys: Vec<AccessKeyView>,
    unreadable: Vec<String>,
    made: Option<CreatedAccessKey>,
    name: &'a str,
    days: [u64; 5],
    done: String,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

/// What the form does.
enum KeyAction {
    Create,
    RevokeOlder,
    Change(AccessKeyId, AccessKeyChange),
}

/// Parameters: `done`; `access_key` of the key that was created, whose secret is shown once.
pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let created = cx.parameter("access_key").parse::<AccessKeyId>().ok();
    let created = created.filter(|_| cx.head.method == Method::GET && !cx.wants_json());
    show(cx, created, None).await
}

/// Fields: `change` "disable", "enable" or "revoke" with `access_key`; "revoke-older", for keys older than
/// the password; without `change`, `name` and `days` of a new key.
pub(super) async fn post(cx: &SignedInContext<'_>, mut fields: Fields) -> PageResult {
    let asked = KeyAction::of(&fields).ok_or(Problem::NotFound)?;
    // In an unlocked browser, keys can be disabled and revoked without the password, but none created or
    // enabled. A session that an access key started changes no key without it.
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
            let changed = keys.change(id, owner, change, &by, &origin).await;
            if let Err(AccessKeyError::NotFound(_)) = &changed {
                note_refused(cx, id, change);
            }
            let key = changed?;
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

/// The kind of the event of a form; that of a new key if it is malformed.
pub(super) fn audit_kind(fields: &Fields) -> Kind {
    match KeyAction::of(fields) {
        Some(KeyAction::Change(_, change)) => change.kind(),
        Some(KeyAction::RevokeOlder) => Kind::AccessKeyRevoke,
        Some(KeyAction::Create) | None => Kind::AccessKeyCreate,
    }
}

/// Records that an owner asked for the change of a key that is another's, or none.
fn note_refused(cx: &SignedInContext<'_>, id: AccessKeyId, change: AccessKeyChange) {
    let who = cx.user.principal;
    let event = Event::failure(change.kind(), who.email.as_str(), Problem::NotFound.slug())
        .account(who.account)
        .detail(AuditDetail::of(DetailKey::AccessKey, &id));
    cx.services.audit.note(&cx.origin(), &event);
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
            // A redirect, so that the page can be loaded again without creating another.
            let id = created.key.access_key;
            let secret = vec![Secret::new(created.secret_key)];
            cx.services
                .shown_once
                .keep(cx.user.session.id(), ShownOn::AccessKeys(id), secret);
            let parameters = [("done", "created"), ("access_key", &*id.to_string())];
            Ok(cx.see_other(&with_query(AccountPage::Keys.path(), &parameters)))
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
    created: Option<AccessKeyId>,
    refused: Option<(&str, AccessKeyError)>,
) -> PageResult {
    let keys = &cx.services.access_keys;
    let keys = keys.list(Some(cx.user.principal.account)).await?;
    // Once the page can be shown.
    let secret = created.and_then(|id| {
        let page = ShownOn::AccessKeys(id);
        let secret = cx.services.shown_once.take(cx.user.session.id(), page).pop()?;
        Some((id, secret))
    });
    Ok(page(cx, keys, secret, refused))
}

/// `secret`: that of the key that was just created. `refused`: the name that was typed, and why no key was created.
pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    keys: LoadedRows<AccessKeyInfo>,
    secret: Option<(AccessKeyId, Secret<String>)>,
    refused: Option<(&str, AccessKeyError)>,
) -> Response<Bytes> {
    let list = AccessKeyList::from(keys);
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &list);
    }
    let made = secret.and_then(|(id, secret)| {
        let key = list.access_keys.iter().find(|key| key.access_key == id)?.clone();
        let secret_key = secret.expose().clone();
        Some(CreatedAccessKey { secret_key, key })
    });
    let mut view = KeysView {
        keys: list.access_keys,
        unreadable: list.unreadable,
        made,
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

/// Parses a lifetime in days; zero: until the key is revoked.
fn ttl(days: &str) -> Option<Duration> {
    let days = if days.is_empty() {
        0
    } else {
        parse_decimal::<u16>(days)?
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
