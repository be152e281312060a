//! `/.auth/admin/account?id=`: an account, with its access keys and sessions.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::Serialize;

use super::action::AccountAction;
use super::{place, suggested_groups};
use crate::api::AccountDetails;
use crate::ids::{AccountId, SessionId};
use crate::model::Account;
use crate::portal::form_errors::{ErrorSummary, Errors, FormRefusal};
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::response::{ResponseOutcome, with_query};
use crate::portal::session_list::{SessionRow, page_of, rows};
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::Problem;
use crate::route::AdminPage;
use crate::secret::Secret;
use crate::services::ShownOn;

/// The fields of the page's forms, in their order.
const ORDER: &[&str] = &["name", "email", "groups", "confirm"];

/// The result of a form on the page.
#[derive(Default)]
pub(in crate::portal) struct PageMessage<'a> {
    /// A reset link to hand over, shown once.
    pub(in crate::portal) link: Option<&'a Secret<String>>,
    /// The key of the text for what was done, if no parameter of the page says so.
    pub(in crate::portal) done: Option<&'static str>,
    /// Why the form was refused.
    pub(in crate::portal) refused: Option<FormRefusal>,
    /// What was typed into the fields that were refused.
    pub(in crate::portal) name: Option<String>,
    pub(in crate::portal) email: Option<String>,
    /// The reason that was typed.
    pub(in crate::portal) reason: String,
}

#[derive(Serialize)]
struct AccountPageView<'a> {
    account: &'a AccountDetails,
    groups: String,
    name: String,
    email: String,
    reason: String,
    /// What may be typed as groups: each other group, after those that the account is in.
    suggested: Vec<String>,
    /// Whether addresses must be verified.
    proving: bool,
    locked_minutes: Option<u64>,
    sessions: Vec<SessionRow<'a>>,
    next: Option<String>,
    recorded: String,
    done: Option<&'static str>,
    link: Option<&'a str>,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

/// Parameters: `id`, an id, an address or a username; `after`, for the sessions.
pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let account = cx.services.accounts.find(&cx.parameter("id")).await?;
    let hands_over = matches!(cx.parameter("done").as_str(), "reset-link" | "add-link");
    if !hands_over || cx.head.method != Method::GET || cx.wants_json() {
        return show(cx, account, PageMessage::default()).await;
    }
    // Of several, the last one serves.
    let page = ShownOn::Account(account.id);
    let link = cx.services.shown_once.take(cx.user.session.id(), page).pop();
    let message = PageMessage {
        link: link.as_ref(),
        done: link.is_none().then_some("admin.link-gone"),
        ..PageMessage::default()
    };
    show(cx, account, message).await
}

/// Leads to the account's page, which shows a link once, so that it can be loaded again without making another.
pub(super) fn see_link(
    cx: &SignedInContext<'_>,
    account: AccountId,
    done: &str,
    link: Secret<String>,
) -> Response<Bytes> {
    let page = ShownOn::Account(account);
    cx.services
        .shown_once
        .keep(cx.user.session.id(), page, vec![link]);
    let id = account.to_string();
    cx.see_other(&with_query(
        AdminPage::Account.path(),
        &[("id", &*id), ("done", done)],
    ))
}

pub(super) async fn show(cx: &SignedInContext<'_>, account: Account, message: PageMessage<'_>) -> PageResult {
    let locked_for = cx.services.admin_queries.locked_for(&account).await?;
    let sessions = cx.services.sessions.list(Some(account.id));
    let keys = cx.services.access_keys.list(Some(account.id)).await?;
    let list = page_of(cx, &sessions)?;
    let details = AccountDetails::new(account, locked_for, &sessions, list, keys.into());
    Ok(page(cx, &details, &suggested_groups(cx).await?, message))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    details: &AccountDetails,
    groups: &[String],
    message: PageMessage<'_>,
) -> Response<Bytes> {
    let PageMessage {
        link,
        done,
        refused,
        name,
        email,
        reason,
    } = message;
    let shown = AccountPageView::of(cx, details, groups);
    let mut view = AccountPageView {
        link: link.map(|link| link.expose().as_str()),
        done: done.or(shown.done),
        name: name.unwrap_or_else(|| shown.name.clone()),
        email: email.unwrap_or_else(|| shown.email.clone()),
        reason,
        ..shown
    };
    let Some(refused) = refused else {
        if cx.wants_json() {
            return cx.json(StatusCode::OK, details);
        }
        return form(cx, StatusCode::OK, &view);
    };
    // A conflicting change by another administrator is not an error of a field.
    let order = if refused.refusal.problem == Problem::Conflict {
        &[]
    } else {
        ORDER
    };
    cx.refuse_form(refused, order, |problem, errors, alert| {
        view.errors = errors;
        view.alert = Some(alert);
        form(cx, problem, &view)
    })
}

fn form(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    view: &AccountPageView<'_>,
) -> Response<Bytes> {
    cx.page_with_nav(place(AdminPage::Account), outcome, "admin-account.html", view)
}

impl<'a> AccountPageView<'a> {
    fn of(cx: &SignedInRequest<'_>, details: &'a AccountDetails, known: &[String]) -> Self {
        let account = &details.account;
        let groups: Vec<&str> = account.groups.iter().map(String::as_str).collect();
        let others = known.iter().filter(|group| !account.groups.contains(*group));
        let with = |group: &String| [&groups[..], &[group.as_str()]].concat().join(", ");
        let id = details.account.id.to_string();
        let next = |next: SessionId| {
            let parameters = [("id", &*id), ("after", &*next.to_string())];
            with_query(AdminPage::Account.path(), &parameters)
        };
        Self {
            suggested: others.map(with).collect(),
            groups: groups.join(", "),
            name: account.name.clone().unwrap_or_default(),
            email: account.email.to_string(),
            reason: String::new(),
            proving: cx.renderer.verify_email,
            locked_minutes: details.locked_for_seconds.map(|left| left.div_ceil(60)),
            sessions: rows(&details.sessions),
            next: details.sessions_next.map(next),
            recorded: with_query(AdminPage::Audit.path(), &[("account", &id)]),
            done: done(&cx.parameter("done")),
            link: None,
            account: details,
            errors: Errors::new(),
            alert: None,
        }
    }
}

/// The key of the text for what was done.
fn done(done: &str) -> Option<&'static str> {
    match done {
        "add" => Some("admin.done-add"),
        "add-link" => Some("admin.done-add-link"),
        action => AccountAction::parse(action)?.done_text(),
    }
}
