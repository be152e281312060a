//! The form of `/.auth/admin/account`: changes the account.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::account::{self, PageMessage};
use super::{ActDone, unknown_action};
use crate::api::{EndedSessions, ResetLink};
use crate::ids::{AccountId, SessionId};
use crate::model::{Account, AccountStatus};
use crate::portal::form_errors::{Errors, FormRefusal};
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageResult, SignedInContext, refusal_of_store, unavailable};
use crate::portal::request_context::RequestContext;
use crate::portal::response::with_query;
use crate::refusal::{Problem, Refusal};
use crate::route::AdminPage;
use crate::services::{
    AccountChange, AccountError, AccountPart, AccountVersion, Actor, AuditError, LinkError,
};
use crate::text::fill;

/// Fields: `account`, an id, an address or a username; `action`; `reason`; `version` of the account as it was
/// shown; for "set-groups" `groups`, separated by commas; for "end-session" `session`, an id; for "delete"
/// `confirm`.
pub(super) async fn post(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let (accounts, name, origin) = (&cx.services.accounts, fields.text("account"), cx.origin());
    let action = fields.text("action");
    let change = match action {
        "approve" => AccountChange::Approve,
        "decline" => AccountChange::Decline,
        "disable" => AccountChange::Disable,
        "enable" => AccountChange::Enable,
        "unlock" => AccountChange::Unlock,
        "set-groups" => AccountChange::SetGroups(groups(fields.text("groups"))),
        "reset-link" => return hand_over_link(cx, name, by).await,
        "end-session" | "end-sessions" => return end_sessions(cx, fields, by).await,
        "delete" => return delete(cx, fields, by).await,
        _ => return refused(cx, name, unknown_action(cx).into()).await,
    };
    let seen = AccountVersion::named(fields.text("version"));
    match accounts.change_version(name, seen, change, by, &origin).await {
        Ok(account) if cx.wants_json() => account::show(cx, account, PageMessage::default()).await,
        Ok(account) => Ok(cx.see_other(&shown(account.id, action))),
        Err(error) => refused_change(cx, name, error).await,
    }
}

async fn end_sessions(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let (accounts, name, origin) = (&cx.services.accounts, fields.text("account"), cx.origin());
    let action = fields.text("action");
    let account = accounts.locate(name).await?;
    let ended = if action == "end-sessions" {
        accounts.end_sessions(&account, by, &origin).await
    } else {
        let session = fields.text("session").parse::<SessionId>();
        let session = session.map_err(|_| Problem::NotFound)?;
        accounts.end_session(session, Some(account.id), by, &origin).await
    };
    match ended {
        Ok(ended_count) => {
            let to = shown(account.id, action);
            Ok(cx.json_or_see_other(StatusCode::OK, &EndedSessions { ended_count }, &to))
        }
        Err(error) => refused_change(cx, name, error).await,
    }
}

async fn delete(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let name = fields.text("account");
    if !fields.is_ticked("confirm") {
        let errors = cx.field_error("confirm", "admin.must-confirm");
        return refused(cx, name, errors.into()).await;
    }
    match cx.services.accounts.delete(name, by, &cx.origin()).await {
        Ok(_) => {
            let to = with_query(AdminPage::Accounts.path(), &[("done", "delete")]);
            Ok(cx.nothing_or_see_other(&to))
        }
        Err(error) => refused_change(cx, name, error).await,
    }
}

/// The URL of the account's page, with what was done.
fn shown(account: AccountId, action: &str) -> String {
    let id = account.to_string();
    with_query(AdminPage::Account.path(), &[("id", &id), ("done", action)])
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
    let message = PageMessage {
        link: Some(&link),
        refused: None,
    };
    account::show(cx, account, message).await
}

async fn refused_change(cx: &SignedInContext<'_>, name: &str, error: AccountError) -> PageResult {
    let (field, text) = match error {
        AccountError::LastAdministrator => ("action", "admin.last-administrator"),
        AccountError::GroupName(_) | AccountError::TooManyGroups => ("groups", "admin.group-refused"),
        AccountError::Status(_, AccountStatus::Active) => ("action", "admin.refused-active"),
        AccountError::Status(_, AccountStatus::AwaitingApproval) => ("action", "admin.refused-waiting"),
        AccountError::Status(_, AccountStatus::Declined) => ("action", "admin.refused-declined"),
        AccountError::Status(_, AccountStatus::Disabled) => ("action", "admin.refused-disabled"),
        AccountError::Stale(parts, account) => {
            let refusal = FormRefusal {
                refusal: Refusal::new(Problem::Conflict),
                errors: stale(cx, &parts, &account),
            };
            return refused(cx, name, refusal).await;
        }
        AccountError::Unrecorded(error) => return Ok(unrecorded(cx, error)),
        error => return Err(error.into()),
    };
    refused(cx, name, cx.field_error(field, text).into()).await
}

/// The refusal when sessions are ended, and this could not be recorded.
pub(super) fn unrecorded(cx: &RequestContext<'_>, error: AuditError) -> Response<Bytes> {
    let mut response = cx.refuse(&unavailable(format!("the sessions are ended, but {error}")));
    response.extensions_mut().insert(ActDone);
    response
}

async fn refused(cx: &SignedInContext<'_>, name: &str, refusal: FormRefusal) -> PageResult {
    let message = PageMessage {
        link: None,
        refused: Some(refusal),
    };
    let account = cx.services.accounts.find(name).await?;
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
