//! `/.auth/admin/account?id=`: an account, with its sessions.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::place;
use crate::api::AccountDetails;
use crate::ids::SessionId;
use crate::model::Account;
use crate::portal::form_errors::{ErrorSummary, Errors, FormRefusal};
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::response::{ResponseOutcome, with_query};
use crate::portal::session_list::{SessionRow, page_of, rows};
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::Problem;
use crate::route::AdminPage;
use crate::secret::Secret;

/// The fields of the page's forms, in their order.
const ORDER: &[&str] = &["groups", "confirm"];

/// The result of a form on the page.
#[derive(Default)]
pub(in crate::portal) struct PageMessage<'a> {
    /// A reset link to hand over, shown once.
    pub(in crate::portal) link: Option<&'a Secret<String>>,
    /// Why the form was refused.
    pub(in crate::portal) refused: Option<FormRefusal>,
}

#[derive(Serialize)]
struct AccountPageView<'a> {
    account: &'a AccountDetails,
    groups: String,
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
    show(cx, account, PageMessage::default()).await
}

pub(super) async fn show(cx: &SignedInContext<'_>, account: Account, message: PageMessage<'_>) -> PageResult {
    let locked_for = cx.services.admin_queries.locked_for(&account).await?;
    let sessions = cx.services.sessions.list(Some(account.id));
    let details = AccountDetails::new(account, locked_for, &sessions, page_of(cx, &sessions));
    Ok(page(cx, &details, message))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    details: &AccountDetails,
    message: PageMessage<'_>,
) -> Response<Bytes> {
    let PageMessage { link, refused } = message;
    let Some(refused) = refused else {
        if cx.wants_json() {
            return cx.json(StatusCode::OK, details);
        }
        let view = AccountPageView {
            link: link.map(|link| link.expose().as_str()),
            ..AccountPageView::of(cx, details)
        };
        return form(cx, StatusCode::OK, &view);
    };
    // A conflicting change by another administrator is not an error of a field.
    let order = if refused.refusal.problem == Problem::Conflict {
        &[]
    } else {
        ORDER
    };
    cx.refuse_form(refused, order, |problem, errors, alert| {
        let view = AccountPageView {
            errors,
            alert: Some(alert),
            ..AccountPageView::of(cx, details)
        };
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
    fn of(cx: &SignedInRequest<'_>, details: &'a AccountDetails) -> Self {
        let groups: Vec<&str> = details.account.groups.iter().map(String::as_str).collect();
        let id = details.account.id.to_string();
        let next = |next: SessionId| {
            let parameters = [("id", &*id), ("after", &*next.to_string())];
            with_query(AdminPage::Account.path(), &parameters)
        };
        Self {
            groups: groups.join(", "),
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
