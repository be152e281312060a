//! `/.auth/admin/accounts`: searches accounts.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{A_PAGE, none_of, place};
use crate::api::AccountList;
use crate::model::AccountStatus;
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::response::{ResponseOutcome, with_query};
use crate::portal::signed_in::SignedInRequest;
use crate::route::AdminPage;
use crate::services::{AccountFilter, AccountPage};

/// The search, as typed.
#[derive(Default, Serialize)]
pub(in crate::portal) struct Search {
    pub(in crate::portal) q: String,
    pub(in crate::portal) status: Option<AccountStatus>,
    pub(in crate::portal) group: String,
}

#[derive(Serialize)]
struct AccountsView<'a> {
    search: &'a Search,
    statuses: &'static [AccountStatus],
    found: AccountList,
    next: Option<String>,
    deleted: bool,
    errors: Errors,
    alert: Option<ErrorSummary>,
    /// Whether addresses must be verified.
    proving: bool,
}

/// Parameters: `q`, `status`, `group`, `after`.
pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let named = cx.parameter("status");
    let search = Search {
        q: cx.parameter("q").trim().to_owned(),
        status: named.parse().ok(),
        group: cx.parameter("group").trim().to_owned(),
    };
    if search.status.is_none() && !named.is_empty() {
        return Ok(refused(cx, &search));
    }
    let filter = AccountFilter {
        text: Some(search.q.clone()),
        status: search.status,
        group: Some(search.group.clone()).filter(|group| !group.is_empty()),
        ..AccountFilter::default()
    };
    let after = Some(cx.parameter("after")).filter(|after| !after.is_empty());
    let queries = &cx.services.admin_queries;
    let found = queries
        .find_accounts(crate::services::AccountQuery {
            filter,
            after,
            limit: A_PAGE,
            ..Default::default()
        })
        .await?;
    Ok(page(cx, &search, found))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    search: &Search,
    found: AccountPage,
) -> Response<Bytes> {
    let found = AccountList::from(found);
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &found);
    }
    let next = found.next.as_deref().map(|next| {
        let status = search.status.map_or("", AccountStatus::as_str);
        let parameters = [
            ("q", &*search.q),
            ("status", status),
            ("group", &*search.group),
            ("after", next),
        ];
        with_query(AdminPage::Accounts.path(), &parameters)
    });
    let view = AccountsView {
        found,
        next,
        deleted: cx.parameter("done") == "delete",
        ..AccountsView::empty(cx, search)
    };
    show(cx, StatusCode::OK, &view)
}

/// Refuses an unknown status.
fn refused(cx: &SignedInRequest<'_>, search: &Search) -> Response<Bytes> {
    let known: Vec<&str> = AccountStatus::ALL
        .iter()
        .copied()
        .map(AccountStatus::as_str)
        .collect();
    let errors = Errors::from([("status", none_of(cx, &known))]);
    cx.refuse_form(errors.into(), &["status"], |problem, errors, alert| {
        let view = AccountsView {
            errors,
            alert: Some(alert),
            ..AccountsView::empty(cx, search)
        };
        show(cx, problem, &view)
    })
}

fn show(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    view: &AccountsView<'_>,
) -> Response<Bytes> {
    cx.page_with_nav(place(AdminPage::Accounts), outcome, "admin-accounts.html", view)
}

impl<'a> AccountsView<'a> {
    /// The view without results.
    fn empty(cx: &SignedInRequest<'_>, search: &'a Search) -> Self {
        Self {
            search,
            statuses: AccountStatus::ALL,
            found: AccountList::default(),
            next: None,
            deleted: false,
            errors: Errors::new(),
            alert: None,
            proving: cx.renderer.verify_email,
        }
    }
}
