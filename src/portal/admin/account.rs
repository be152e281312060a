//! `/.auth/admin/account?id=`: one account.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::place;
use crate::model::{Account, AccountStatus, Agreement, Decision, Username};
use crate::portal::form_errors::{ErrorSummary, Errors, FormRefusal};
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::response::{ResponseOutcome, with_query};
use crate::portal::session_list::{SessionDocument, SessionList, SessionRow};
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::Problem;
use crate::route::AdminPage;
use crate::secret::Secret;
use crate::services::{AccountVersion, SessionInfo};

/// The fields of the page's forms, in their order.
const ORDER: &[&str] = &["groups", "confirm"];

/// An account, and how it is used.
pub(in crate::portal) struct AccountDetails {
    pub(in crate::portal) account: Account,
    pub(in crate::portal) locked_for: Option<Duration>,
    pub(in crate::portal) sessions: Vec<SessionInfo>,
}

/// What the page says of what was just asked.
#[derive(Default)]
pub(in crate::portal) struct PageMessage<'a> {
    /// A link to hand over, which is shown once.
    pub(in crate::portal) link: Option<&'a Secret<String>>,
    /// Why nothing was done.
    pub(in crate::portal) refused: Option<FormRefusal>,
}

/// An account, as administrators' programs read it.
#[derive(Serialize)]
struct AccountDocument<'a> {
    id: String,
    /// What a change is decided by: it may come back as `version`.
    version: AccountVersion,
    email: &'a str,
    email_verified: bool,
    username: &'a str,
    former_usernames: &'a [Username],
    name: &'a str,
    groups: &'a BTreeSet<String>,
    status: AccountStatus,
    decision: Option<&'a Decision>,
    created_at: String,
    password_changed_at: String,
    agreements: &'a [Agreement],
    language: Option<&'a str>,
    locked_for_seconds: Option<u64>,
    session_count: usize,
    sessions: Vec<SessionDocument<'a>>,
    /// What the next page of sessions comes `after`.
    sessions_next: Option<String>,
}

#[derive(Serialize)]
struct AccountView<'a> {
    account: AccountDocument<'a>,
    groups: String,
    /// Addresses have to be proven.
    proving: bool,
    locked_minutes: Option<u64>,
    sessions: Vec<SessionRow>,
    next: Option<String>,
    recorded: String,
    done: Option<&'static str>,
    link: Option<&'a str>,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

/// `id`: an id, an address or a username; `after`, for its sessions.
pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let account = cx.services.accounts.find(&cx.parameter("id")).await?;
    show(cx, account, PageMessage::default()).await
}

pub(super) async fn show(cx: &SignedInContext<'_>, account: Account, message: PageMessage<'_>) -> PageResult {
    let details = AccountDetails {
        locked_for: cx.services.admin_queries.locked_for(&account).await?,
        sessions: cx.services.sessions.list(Some(account.id)),
        account,
    };
    Ok(page(cx, &details, message))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    details: &AccountDetails,
    message: PageMessage<'_>,
) -> Response<Bytes> {
    let list = SessionList::new(&details.sessions, cx.user, &cx.parameter("after"));
    let PageMessage { link, refused } = message;
    let Some(refused) = refused else {
        if cx.wants_json() {
            return cx.json(StatusCode::OK, &AccountDocument::of(details, &list));
        }
        let view = AccountView {
            link: link.map(|link| link.expose().as_str()),
            ..AccountView::of(cx, details, &list)
        };
        return form(cx, StatusCode::OK, &view);
    };
    // What others changed is no mistake in the form.
    let order = if refused.refusal.problem == Problem::Conflict {
        &[]
    } else {
        ORDER
    };
    cx.refuse_form(refused, order, |problem, errors, alert| {
        let view = AccountView {
            errors,
            alert: Some(alert),
            ..AccountView::of(cx, details, &list)
        };
        form(cx, problem, &view)
    })
}

fn form(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    view: &AccountView<'_>,
) -> Response<Bytes> {
    cx.page_with_nav(place(AdminPage::Account), outcome, "admin-account.html", view)
}

impl<'a> AccountView<'a> {
    fn of(cx: &SignedInRequest<'_>, details: &'a AccountDetails, list: &SessionList<'a>) -> Self {
        let groups: Vec<&str> = details.account.groups.iter().map(String::as_str).collect();
        let id = details.account.id.to_string();
        let next = |next| with_query(AdminPage::Account.path(), &[("id", &*id), ("after", next)]);
        Self {
            groups: groups.join(", "),
            proving: cx.renderer.verify_email,
            locked_minutes: details.locked_for.map(|left| left.as_secs().div_ceil(60).max(1)),
            sessions: list.rows(),
            next: list.next.as_deref().map(next),
            recorded: with_query(AdminPage::Audit.path(), &[("account", &id)]),
            done: done(&cx.parameter("done")),
            link: None,
            account: AccountDocument::of(details, list),
            errors: Errors::new(),
            alert: None,
        }
    }
}

impl<'a> AccountDocument<'a> {
    fn of(details: &'a AccountDetails, list: &SessionList<'a>) -> Self {
        let account = &details.account;
        Self {
            id: account.id.to_string(),
            version: AccountVersion::of(account),
            email: account.email.as_str(),
            email_verified: account.email_verified,
            username: account.username.as_str(),
            former_usernames: &account.former_usernames,
            name: account.name.as_deref().unwrap_or_default(),
            groups: &account.groups,
            status: account.status,
            decision: account.decision.as_ref(),
            created_at: account.created_at.to_string(),
            password_changed_at: account.password_changed_at.to_string(),
            agreements: &account.agreements,
            language: account.language.as_deref(),
            locked_for_seconds: details.locked_for.map(|left| left.as_secs().max(1)),
            session_count: details.sessions.len(),
            sessions: list.documents(),
            sessions_next: list.next.clone(),
        }
    }
}

/// What was done, in words.
fn done(action: &str) -> Option<&'static str> {
    Some(match action {
        "approve" => "admin.done-approve",
        "decline" => "admin.done-decline",
        "disable" => "admin.done-disable",
        "enable" => "admin.done-enable",
        "unlock" => "admin.done-unlock",
        "set-groups" => "admin.done-groups",
        "end-session" => "account.sessions-ended",
        "end-sessions" => "admin.done-sessions",
        _ => return None,
    })
}
