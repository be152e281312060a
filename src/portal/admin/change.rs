//! The form of `/.auth/admin/account`: changes the account.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::account::{self, PageMessage};
use super::action::{AccountAction, object_of};
use super::{ActDone, unknown_action};
use crate::api::{AccessKeyView, EndedSessions, ResetLink};
use crate::ids::{AccountId, SessionId};
use crate::model::{AccessKeyId, Account, AccountStatus, Email, legible};
use crate::portal::form_errors::{Errors, FormRefusal};
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageError, PageResult, SignedInContext, refusal_of_store, unavailable};
use crate::portal::request_context::RequestContext;
use crate::portal::response::with_query;
use crate::refusal::{Problem, Refusal};
use crate::route::AdminPage;
use crate::services::{
    AccessKeyChange, AccountChange, AccountError, AccountPart, AccountVersion, Actor, AuditError,
    LONGEST_NAME, LinkError,
};
use crate::text::fill;

/// Fields: `account`, an id, an address or a username; `action`; `reason`; `version` of the account as it was
/// shown; for "set-groups" `groups`, separated by commas; for "set-name" `name`; for "set-email" `email`; for
/// "end-session" `session`, an id, and for "revoke-key" `access_key`, either of which may follow the action
/// after a blank instead; for "delete" `confirm`.
pub(super) async fn post(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let (accounts, name, origin) = (&cx.services.accounts, fields.text("account"), cx.origin());
    let Some(action) = AccountAction::of(fields) else {
        return refused(cx, fields, unknown_action(cx).into()).await;
    };
    let change = match action {
        AccountAction::Approve => AccountChange::Approve,
        AccountAction::Decline => AccountChange::Decline,
        AccountAction::Disable => AccountChange::Disable,
        AccountAction::Enable => AccountChange::Enable,
        AccountAction::Unlock => AccountChange::Unlock,
        AccountAction::SetGroups => AccountChange::SetGroups(groups(fields.text("groups"))),
        AccountAction::SetName => AccountChange::SetName(fields.text("name").to_owned()),
        AccountAction::SetEmail => {
            let Ok(email) = fields.text("email").trim().parse::<Email>() else {
                let errors = cx.field_error("email", "field.email-malformed");
                return refused(cx, fields, errors.into()).await;
            };
            AccountChange::SetEmail(email)
        }
        AccountAction::RevokeKey => return revoke_key(cx, fields, by).await,
        AccountAction::ResetLink => return hand_over_link(cx, name, by).await,
        AccountAction::EndSession | AccountAction::EndSessions => {
            return end_sessions(cx, fields, action, by).await;
        }
        AccountAction::Delete => return delete(cx, fields, by).await,
    };
    let seen = AccountVersion::named(fields.text("version"));
    match accounts.change_version(name, seen, change, by, &origin).await {
        Ok(account) if cx.wants_json() => account::show(cx, account, PageMessage::default()).await,
        Ok(account) => Ok(cx.see_other(&shown(account.id, action))),
        Err(error) => refused_change(cx, fields, error).await,
    }
}

async fn revoke_key(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let account = cx.services.accounts.locate(fields.text("account")).await?;
    let key = object_of(fields, "access_key").parse::<AccessKeyId>();
    let key = key.map_err(|_| Problem::NotFound)?;
    let keys = &cx.services.access_keys;
    let revoke = AccessKeyChange::Revoke;
    let revoked = keys
        .change(key, Some(account.id), revoke, by, &cx.origin())
        .await?;
    let to = shown(account.id, AccountAction::RevokeKey);
    let view = AccessKeyView::from(keys.info(revoked).await);
    Ok(cx.json_or_see_other(StatusCode::OK, &view, &to))
}

async fn end_sessions(
    cx: &SignedInContext<'_>,
    fields: &Fields,
    action: AccountAction,
    by: &Actor,
) -> PageResult {
    let (accounts, name, origin) = (&cx.services.accounts, fields.text("account"), cx.origin());
    let account = accounts.locate(name).await?;
    let ended = if action == AccountAction::EndSessions {
        accounts.end_sessions(&account, by, &origin).await
    } else {
        let session = object_of(fields, "session").parse::<SessionId>();
        let session = session.map_err(|_| Problem::NotFound)?;
        accounts.end_session(session, Some(account.id), by, &origin).await
    };
    match ended {
        Ok(ended_count) => {
            let to = shown(account.id, action);
            Ok(cx.json_or_see_other(StatusCode::OK, &EndedSessions { ended_count }, &to))
        }
        Err(error) => refused_change(cx, fields, error).await,
    }
}

async fn delete(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let name = fields.text("account");
    if !fields.is_ticked("confirm") {
        let errors = cx.field_error("confirm", "admin.must-confirm");
        return refused(cx, fields, errors.into()).await;
    }
    match cx.services.accounts.delete(name, by, &cx.origin()).await {
        Ok(_) => {
            let to = with_query(
                AdminPage::Accounts.path(),
                &[("done", AccountAction::Delete.as_str())],
            );
            Ok(cx.nothing_or_see_other(&to))
        }
        Err(error) => refused_change(cx, fields, error).await,
    }
}

/// The URL of the account's page, with what was done.
fn shown(account: AccountId, action: AccountAction) -> String {
    let id = account.to_string();
    with_query(
        AdminPage::Account.path(),
        &[("id", &id), ("done", action.as_str())],
    )
}

/// Creates a reset link and shows it once.
async fn hand_over_link(cx: &SignedInContext<'_>, name: &str, by: &Actor) -> PageResult {
    let account = cx.services.accounts.find(name).await?;
    let links = &cx.services.email_tokens;
    let made = links.reset_link(&account, by, &cx.origin()).await;
    let (link, expires_at) = made.map_err(|error| match error {
        LinkError::Store(error) => refusal_of_store(&error),
        error => unavailable(error.to_string()),
    })?;
    if cx.wants_json() {
        let link = ResetLink {
            link: link.expose().to_owned(),
            email: account.email,
            expires_at,
        };
        return Ok(cx.json(StatusCode::CREATED, &link));
    }
    Ok(account::see_link(
        cx,
        account.id,
        AccountAction::ResetLink.as_str(),
        link,
    ))
}

async fn refused_change(cx: &SignedInContext<'_>, fields: &Fields, error: AccountError) -> PageResult {
    if let AccountError::Unrecorded(error) = error {
        return Ok(unrecorded(cx, error));
    }
    refused(cx, fields, refusal_of(cx, error)?).await
}

/// The refusal of a change: of a field, or of a page that is stale. An error that neither explains is another
/// response.
pub(super) fn refusal_of(cx: &RequestContext<'_>, error: AccountError) -> Result<FormRefusal, PageError> {
    let (field, text) = match error {
        AccountError::LastAdministrator => ("action", "admin.last-administrator"),
        AccountError::GroupName(_) | AccountError::TooManyGroups => ("groups", "admin.group-refused"),
        AccountError::EmailTaken(_) => ("email", "admin.invite-known"),
        AccountError::Name(_) => {
            let text = cx.text("account.name-refused");
            let message = fill(text, &[("count", &LONGEST_NAME.to_string())]);
            return Ok(Errors::from([("name", message)]).into());
        }
        AccountError::Status(_, AccountStatus::Active) => ("action", "admin.refused-active"),
        AccountError::Status(_, AccountStatus::AwaitingApproval) => ("action", "admin.refused-waiting"),
        AccountError::Status(_, AccountStatus::Declined) => ("action", "admin.refused-declined"),
        AccountError::Status(_, AccountStatus::Disabled) => ("action", "admin.refused-disabled"),
        AccountError::Stale(parts, account) => {
            return Ok(FormRefusal {
                refusal: Refusal::new(Problem::Conflict),
                errors: stale(cx, &parts, &account),
            });
        }
        error => return Err(error.into()),
    };
    Ok(cx.field_error(field, text).into())
}

/// The refusal when sessions are ended, and this could not be recorded.
pub(super) fn unrecorded(cx: &RequestContext<'_>, error: AuditError) -> Response<Bytes> {
    let mut response = cx.refuse(&unavailable(format!("the sessions are ended, but {error}")));
    response.extensions_mut().insert(ActDone);
    response
}

async fn refused(cx: &SignedInContext<'_>, fields: &Fields, refusal: FormRefusal) -> PageResult {
    let typed = |field: &str| {
        let is_refused = refusal.errors.contains_key(field);
        is_refused.then(|| fields.text(field).to_owned())
    };
    let message = PageMessage {
        name: typed("name"),
        email: typed("email"),
        reason: fields.text("reason").to_owned(),
        refused: Some(refusal),
        ..PageMessage::default()
    };
    let account = cx.services.accounts.find(fields.text("account")).await?;
    account::show(cx, account, message).await
}

/// Messages for what changed since the page showed the account, with its values now.
fn stale(cx: &RequestContext<'_>, parts: &[AccountPart], account: &Account) -> Errors {
    let message = |part: &AccountPart| {
        let (text, value) = match part {
            AccountPart::Email => ("admin.stale-email", account.email.to_string()),
            AccountPart::Status => {
                let key = format!("status.{}", account.status.as_str());
                let status = cx.renderer.texts.get(cx.lang, &key);
                ("admin.stale-status", status.to_owned())
            }
            AccountPart::Name => {
                let name = account.name.as_deref().map(|name| legible(name).into_owned());
                let none = || cx.text("account.none").to_owned();
                ("admin.stale-name", name.unwrap_or_else(none))
            }
            AccountPart::Groups if account.groups.is_empty() => {
                ("admin.stale-groups", cx.text("account.none").to_owned())
            }
            AccountPart::Groups => {
                let groups: Vec<&str> = account.groups.iter().map(String::as_str).collect();
                ("admin.stale-groups", groups.join(", "))
            }
        };
        let message = fill(cx.text(text), &[("value", value.as_str())]);
        (part.as_str(), message)
    };
    parts.iter().map(message).collect()
}

/// Parses groups that are separated by commas.
pub(super) fn groups(typed: &str) -> BTreeSet<String> {
    typed
        .split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(str::to_owned)
        .collect()
}
