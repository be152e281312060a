//! `/.auth/admin/accounts`: accounts among many.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{A_PAGE, none_of, place};
use crate::model::{Account, AccountStatus};
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::response::{ResponseOutcome, with_query};
use crate::portal::signed_in::SignedInRequest;
use crate::route::AdminPage;
use crate::services::{AccountFilter, AccountPage};

/// All states that can be asked for.
const STANDINGS: &[AccountStatus] = &[
    AccountStatus::AwaitingApproval,
    AccountStatus::Active,
    AccountStatus::Disabled,
    AccountStatus::Declined,
];

/// What is looked for, as it was asked.
#[derive(Default, Serialize)]
pub(in crate::portal) struct Search {
    pub(in crate::portal) q: String,
    pub(in crate::portal) standing: Option<AccountStatus>,
    pub(in crate::portal) group: String,
}

#[derive(Serialize)]
struct FoundAccounts<'a> {
    accounts: Vec<AccountRow<'a>>,
    next: Option<&'a str>,
}

/// An account, for a list.
#[derive(Serialize)]
struct AccountRow<'a> {
    id: String,
    email: &'a str,
    email_verified: bool,
    username: &'a str,
    name: &'a str,
    groups: &'a BTreeSet<String>,
    standing: AccountStatus,
    created_at: String,
}

#[derive(Serialize)]
struct AccountsView<'a> {
    search: &'a Search,
    standings: &'static [AccountStatus],
    found: FoundAccounts<'a>,
    next: Option<String>,
    deleted: bool,
    errors: Errors,
    alert: Option<ErrorSummary>,
    /// Addresses have to be proven.
    proving: bool,
}

/// `q`, `standing`, `group`, `after`
pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let named = cx.parameter("standing");
    let search = Search {
        q: cx.parameter("q").trim().to_owned(),
        standing: STANDINGS
            .iter()
            .copied()
            .find(|standing| status_name(*standing) == named),
        group: cx.parameter("group").trim().to_owned(),
    };
    if search.standing.is_none() && !named.is_empty() {
        return Ok(refused(cx, &search));
    }
    let filter = AccountFilter {
        text: Some(search.q.clone()),
        standing: search.standing,
        group: Some(search.group.clone()).filter(|group| !group.is_empty()),
    };
    let after = Some(cx.parameter("after")).filter(|after| !after.is_empty());
    let queries = &cx.services.admin_queries;
    let found = queries.find_accounts(filter, after, A_PAGE).await?;
    Ok(page(cx, &search, &found))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    search: &Search,
    page: &AccountPage,
) -> Response<Bytes> {
    let found = FoundAccounts {
        accounts: page.accounts.iter().map(AccountRow::of).collect(),
        next: page.next.as_deref(),
    };
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &found);
    }
    let next = found.next.map(|next| {
        let standing = search.standing.map_or("", status_name);
        let parameters = [
            ("q", &*search.q),
            ("standing", standing),
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

/// A state that is none.
fn refused(cx: &SignedInRequest<'_>, search: &Search) -> Response<Bytes> {
    let known: Vec<&str> = STANDINGS.iter().copied().map(status_name).collect();
    let errors = Errors::from([("standing", none_of(cx, &known))]);
    cx.refuse_form(errors.into(), &["standing"], |problem, errors, alert| {
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
    /// Nothing was found.
    fn empty(cx: &SignedInRequest<'_>, search: &'a Search) -> Self {
        Self {
            search,
            standings: STANDINGS,
            found: FoundAccounts {
                accounts: Vec::new(),
                next: None,
            },
            next: None,
            deleted: false,
            errors: Errors::new(),
            alert: None,
            proving: cx.renderer.verify_email,
        }
    }
}

impl<'a> AccountRow<'a> {
    fn of(account: &'a Account) -> Self {
        Self {
            id: account.id.to_string(),
            email: account.email.as_str(),
            email_verified: account.email_verified,
            username: account.username.as_str(),
            name: account.name.as_deref().unwrap_or_default(),
            groups: &account.groups,
            standing: account.standing,
            created_at: account.created_at.to_string(),
        }
    }
}

/// A state as a parameter has it.
fn status_name(standing: AccountStatus) -> &'static str {
    match standing {
        AccountStatus::Active => "active",
        AccountStatus::AwaitingApproval => "awaiting-approval",
        AccountStatus::Declined => "declined",
        AccountStatus::Disabled => "disabled",
    }
}
