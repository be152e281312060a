//! `/.auth/admin` and below: administration. One file a page.

pub(super) mod account;
pub(super) mod accounts;
mod action;
pub(super) mod add;
pub(super) mod audit;
mod batch;
mod change;
pub(super) mod groups;
pub(super) mod invitations;
pub(super) mod locks;
pub(super) mod mails;
pub(super) mod overview;
pub(super) mod request;
pub(super) mod sessions;
pub(super) mod template_filters;

use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Response};

use action::{AccountAction, BatchAction};

use super::form_errors::Errors;
use super::forms::Fields;
use super::page_context::{PageError, PageResult, SignedInContext, refusal_of_store, unavailable};
use super::reauthenticate::{is_shown_after, require_reauthentication, require_trust};
use super::request_context::RequestContext;
use super::signed_in::{NavItem, NavSection};
use crate::model::Email;
use crate::refusal::{Problem, Refusal};
use crate::route::{AdminPage, Page};
use crate::services::{AccountError, Actor, Event, Kind, StoreError};
use crate::text::fill;

static NAV: NavSection = NavSection {
    title: "admin.nav",
    pages: &[
        (Page::Admin(AdminPage::Overview), "admin.nav-overview"),
        (Page::Admin(AdminPage::Accounts), "admin.nav-accounts"),
        (Page::Admin(AdminPage::Sessions), "admin.nav-sessions"),
        (Page::Admin(AdminPage::Groups), "admin.nav-groups"),
        (Page::Admin(AdminPage::Invitations), "admin.nav-invitations"),
        (Page::Admin(AdminPage::Audit), "admin.nav-audit"),
        (Page::Admin(AdminPage::Locks), "admin.nav-locks"),
        (Page::Admin(AdminPage::Mails), "admin.nav-mails"),
    ],
};

/// The most groups that are suggested.
const SUGGESTED: usize = 500;

/// Rows on a page.
const A_PAGE: usize = 50;

/// Calls the page's `get`, or its `post` with the form's fields. A change requires a recent check of the
/// password.
pub(super) async fn dispatch(
    page: AdminPage,
    cx: &SignedInContext<'_>,
    fields: Option<Fields>,
) -> PageResult {
    if let Some(mut fields) = fields {
        require_reauthentication(cx, place(page), &mut fields).await?;
        if !is_shown_after(&fields) {
            return Ok(change(page, cx, &fields).await);
        }
        // A program gets the page at once.
        if !cx.wants_json() {
            return Ok(cx.see_other(&cx.place()));
        }
    } else {
        require_trust(cx, place(page))?;
    }
    match page {
        AdminPage::Overview => overview::get(cx).await,
        AdminPage::Accounts => accounts::get(cx).await,
        AdminPage::AddAccount => add::get(cx).await,
        AdminPage::Account => account::get(cx).await,
        AdminPage::Sessions => sessions::get(cx).await,
        AdminPage::Groups => groups::get(cx).await,
        AdminPage::Invitations => invitations::get(cx).await,
        AdminPage::Audit => audit::get(cx).await,
        AdminPage::Request => request::get(cx).await,
        AdminPage::Locks => locks::get(cx).await,
        AdminPage::Mails => mails::get(cx).await,
    }
}

/// Calls the page's `post` and audits a refusal.
async fn change(page: AdminPage, cx: &SignedInContext<'_>, fields: &Fields) -> Response<Bytes> {
    let by = cx
        .services
        .administrator(cx.user.session)
        .because(fields.text("reason"));
    let changed = match page {
        AdminPage::Accounts => batch::post(cx, fields, &by).await,
        AdminPage::AddAccount => add::post(cx, fields, &by).await,
        AdminPage::Account => change::post(cx, fields, &by).await,
        AdminPage::Sessions => sessions::post(cx, fields, &by).await,
        AdminPage::Invitations => invitations::post(cx, fields, &by).await,
        AdminPage::Mails => mails::post(cx, fields, &by).await,
        // Their forms only carry the password.
        AdminPage::Overview
        | AdminPage::Groups
        | AdminPage::Audit
        | AdminPage::Request
        | AdminPage::Locks => {
            let mut response = cx.refuse(&Refusal::new(Problem::MethodNotAllowed));
            let allow = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allow);
            Ok(response)
        }
    };
    let response = changed.unwrap_or_else(|error| error.into_response(cx));
    note_refused(page, cx, fields, &by, &response).await;
    response
}

/// Audits an act that was refused, at whatever stage; acts that were executed are audited where they are.
async fn note_refused(
    page: AdminPage,
    cx: &SignedInContext<'_>,
    fields: &Fields,
    by: &Actor,
    response: &Response<Bytes>,
) {
    let (Some(problem), Some(kind)) = (response.extensions().get::<Problem>(), audit_kind(page, fields))
    else {
        return;
    };
    if response.extensions().get::<ActDone>().is_some() {
        return;
    }
    let who = match page {
        AdminPage::Account | AdminPage::Sessions => fields.text("account"),
        // No one account: those that are refused one by one are audited so.
        AdminPage::Accounts => "",
        AdminPage::Mails if fields.text("which") == "all" => fields.text("to"),
        _ => fields.text("email"),
    };
    note_refused_act(cx, kind, who, *problem, by).await;
}

/// Audits an act on the account of this name, or on none, that was refused with `problem`.
async fn note_refused_act(cx: &SignedInContext<'_>, kind: Kind, who: &str, problem: Problem, by: &Actor) {
    let who: String = who.trim().chars().take(Email::MAX_LENGTH).collect();
    let event = match cx.services.accounts.find(&who).await {
        Ok(account) => Event::about(kind, &account),
        Err(_) => Event::success(kind, who),
    };
    let event = event.failed_because(problem.slug()).by(by);
    cx.services.audit.note(&cx.origin(), &event);
}

/// An extension of error responses whose act was executed.
#[derive(Clone, Copy)]
struct ActDone;

/// The kind of the event of a form's action; `None` if the action is unknown.
fn audit_kind(page: AdminPage, fields: &Fields) -> Option<Kind> {
    Some(match (page, fields.text("action")) {
        (AdminPage::Accounts, _) => BatchAction::of(fields)?.audit_kind(),
        (AdminPage::AddAccount, _) => Kind::AccountAdd,
        (AdminPage::Account, _) => AccountAction::of(fields)?.audit_kind(),
        (AdminPage::Sessions, "end-session" | "end-sessions") => Kind::SessionEnd,
        (AdminPage::Invitations, "revoke") => Kind::InvitationRevoke,
        (AdminPage::Invitations, "" | "create" | "send") => Kind::InvitationCreate,
        (AdminPage::Mails, "drop") => Kind::MailDrop,
        (AdminPage::Mails, "" | "send") => Kind::MailAgain,
        _ => return None,
    })
}

impl From<AccountError> for PageError {
    /// The refusal for an error that no field explains.
    fn from(error: AccountError) -> Self {
        Self::Refused(match error {
            AccountError::NotFound(_) => Refusal::new(Problem::NotFound),
            AccountError::Store(error) => refusal_of_store(&error),
            AccountError::Busy | AccountError::Unrecorded(_) => unavailable(error.to_string()),
            _ => Refusal::because(Problem::InvalidInput, error.to_string()),
        })
    }
}

/// The page's place in the navigation.
pub(super) const fn place(page: AdminPage) -> NavItem {
    NAV.at(Page::Admin(match page {
        AdminPage::Account | AdminPage::AddAccount => AdminPage::Accounts,
        AdminPage::Request => AdminPage::Audit,
        page => page,
    }))
}

/// The names of the groups, as suggestions where groups are typed.
async fn suggested_groups(cx: &SignedInContext<'_>) -> Result<Vec<String>, StoreError> {
    let groups = cx.services.admin_queries.groups().await?;
    Ok(groups
        .into_iter()
        .take(SUGGESTED)
        .map(|group| group.name)
        .collect())
}

/// The message for an unknown action.
fn unknown_action(cx: &RequestContext<'_>) -> Errors {
    cx.field_error("action", "admin.action-unknown")
}

/// The message for an unknown value of a filter; lists the `known` ones for programs, since the page offers
/// them.
fn none_of(cx: &RequestContext<'_>, known: &[&str]) -> String {
    if !cx.wants_json() {
        return cx.text("admin.not-in-list").to_owned();
    }
    fill(cx.text("admin.none-of"), &[("known", &known.join(", "))])
}
