//! `/.auth/admin/accounts`: lists, searches and exports accounts.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::Serialize;

use super::{A_PAGE, none_of, place, suggested_groups};
use crate::api::{AccountList, AccountView, ChangedAccounts, UnchangedAccount};
use crate::model::AccountStatus;
use crate::portal::form_errors::{ErrorSummary, Errors, FormRefusal};
use crate::portal::page_context::{PageResult, SignedInContext, unavailable};
use crate::portal::response::{ResponseOutcome, with_query};
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::{Problem, Refusal};
use crate::route::AdminPage;
use crate::secret::Secret;
use crate::services::{
    AccountFilter, AccountOrder, AccountPage, AccountQuery, AccountSort, AccountVersion, ShownOn,
};

/// The fields of the forms, in their order.
const ORDER: &[&str] = &["status", "accounts", "groups"];

/// The most accounts of an exported file: some tens of megabytes. `vestibule user list --csv` has no such limit.
const MOST: usize = 100_000;

/// Accounts in one read of an export.
const TOGETHER: usize = 1_000;

/// The search, as typed.
#[derive(Default, Serialize)]
pub(in crate::portal) struct Search {
    pub(in crate::portal) q: String,
    pub(in crate::portal) status: Option<AccountStatus>,
    pub(in crate::portal) group: String,
    /// The order, as links name it; empty for that of the search.
    pub(in crate::portal) sort: String,
}

/// What the parameter `done` says after a change of several.
const CHANGED: &str = "changed";

/// What the page shows beside the list.
#[derive(Default)]
pub(in crate::portal) struct ListMessage {
    /// What became of a change of several.
    pub(in crate::portal) changed: Option<ChangedAccounts>,
    /// Why a form was refused.
    pub(in crate::portal) refused: Option<FormRefusal>,
    pub(in crate::portal) typed: TypedBatch,
}

/// What was typed to change several, to be shown again.
#[derive(Default, Serialize)]
pub(in crate::portal) struct TypedBatch {
    pub(in crate::portal) accounts: Vec<String>,
    pub(in crate::portal) groups: String,
    pub(in crate::portal) reason: String,
}

#[derive(Serialize)]
struct AccountsView<'a> {
    search: &'a Search,
    statuses: &'static [AccountStatus],
    columns: Vec<Column>,
    rows: Vec<AccountRow>,
    unreadable: &'a [String],
    /// How many match, in words.
    total: Option<String>,
    next: Option<String>,
    previous: Option<String>,
    /// The URL of the export.
    csv: String,
    /// The names of groups, as suggestions.
    groups: &'a [String],
    deleted: bool,
    changed: Option<BatchView>,
    typed: TypedBatch,
    errors: Errors,
    alert: Option<ErrorSummary>,
    /// Whether addresses must be verified.
    proving: bool,
}

#[derive(Serialize)]
struct AccountRow {
    #[serde(flatten)]
    account: AccountView,
    version: AccountVersion,
}

/// The head of a column.
#[derive(Serialize)]
struct Column {
    /// The key of its text.
    text: &'static str,
    /// The page in its order, the other way round if it is in it; `None` if it decides no order.
    href: Option<String>,
    /// The value of `aria-sort`, if the page is in its order.
    sorted: Option<&'static str>,
}

/// What became of a change of several, with the sentences that say so.
#[derive(Serialize)]
struct BatchView {
    done: Option<String>,
    done_accounts: Vec<AccountView>,
    refused: Option<String>,
    refused_accounts: Vec<UnchangedAccount>,
}

/// Parameters: `q`, `status`, `group`, `sort`, `after` or `before`; `export` "csv".
pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let (search, errors) = Search::read(cx, |name| cx.parameter(name));
    if !errors.is_empty() {
        return refuse(cx, &search, errors.into(), TypedBatch::default()).await;
    }
    if cx.parameter("export") == "csv" {
        return export(cx, &search).await;
    }
    let mut message = ListMessage::default();
    if cx.parameter("done") == CHANGED && cx.head.method == Method::GET && !cx.wants_json() {
        let outcomes = cx
            .services
            .shown_once
            .take(cx.user.session.id(), ShownOn::Accounts);
        let last = outcomes.last().map(|text| serde_json::from_str(text.expose()));
        message.changed = last.and_then(Result::ok);
    }
    show(cx, &search, message).await
}

/// Leads to the list, which tells once what became of a change of several.
pub(super) fn see_outcome(
    cx: &SignedInContext<'_>,
    search: &Search,
    outcome: &ChangedAccounts,
) -> PageResult {
    let text = serde_json::to_string(outcome).map_err(|error| unavailable(error.to_string()))?;
    let text = vec![Secret::new(text)];
    cx.services
        .shown_once
        .keep(cx.user.session.id(), ShownOn::Accounts, text);
    Ok(cx.see_other(&search.url(&[("done", CHANGED)])))
}

/// Shows the list with the page of the search that the request names.
pub(super) async fn show(cx: &SignedInContext<'_>, search: &Search, message: ListMessage) -> PageResult {
    let cursor = |name: &str| Some(cx.parameter(name)).filter(|cursor| !cursor.is_empty());
    let query = AccountQuery {
        after: cursor("after"),
        before: cursor("before"),
        limit: A_PAGE,
        ..search.query()
    };
    let found = cx.services.admin_queries.find_accounts(query).await?;
    let groups = suggested_groups(cx).await?;
    Ok(page(cx, search, found, &groups, message))
}

/// Shows the list with why a form was refused.
pub(super) async fn refuse(
    cx: &SignedInContext<'_>,
    search: &Search,
    refused: FormRefusal,
    typed: TypedBatch,
) -> PageResult {
    // A search that cannot be read finds nothing.
    let is_search = ["status", "sort"]
        .iter()
        .any(|field| refused.errors.contains_key(field));
    let message = ListMessage {
        refused: Some(refused),
        typed,
        ..ListMessage::default()
    };
    if is_search || cx.wants_json() {
        let groups = suggested_groups(cx).await?;
        return Ok(page(cx, search, AccountPage::default(), &groups, message));
    }
    show(cx, search, message).await
}

/// Exports what the search finds, with the columns of the command.
async fn export(cx: &SignedInContext<'_>, search: &Search) -> PageResult {
    let mut list = AccountList::default();
    loop {
        let query = AccountQuery {
            after: list.next,
            limit: TOGETHER,
            ..search.query()
        };
        let found = AccountList::from(cx.services.admin_queries.find_accounts(query).await?);
        list.accounts.extend(found.accounts);
        list.next = found.next;
        if list.next.is_none() {
            break;
        }
        if list.accounts.len() >= MOST {
            let why = format!("a file has at most {MOST} accounts; `vestibule user list --csv` writes all");
            return Err(Refusal::because(Problem::InvalidInput, why).into());
        }
    }
    Ok(cx.csv("attachment; filename=\"accounts.csv\"", list.to_csv()))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    search: &Search,
    found: AccountPage,
    groups: &[String],
    message: ListMessage,
) -> Response<Bytes> {
    let ListMessage {
        changed,
        refused,
        typed,
    } = message;
    if cx.wants_json() && refused.is_none() {
        return cx.json(StatusCode::OK, &AccountList::from(found));
    }
    let versions: Vec<_> = found.accounts.iter().map(AccountVersion::of).collect();
    let found = AccountList::from(found);
    let texts = &cx.renderer.texts;
    let total = found.total_count.filter(|count| *count > 0);
    let mut view = AccountsView {
        columns: search.columns(),
        rows: found
            .accounts
            .into_iter()
            .zip(versions)
            .map(|(account, version)| AccountRow { account, version })
            .collect(),
        unreadable: &found.unreadable,
        total: total.map(|total| texts.count(cx.lang, "admin.total", total as u64)),
        next: found.next.map(|next| search.url(&[("after", &next)])),
        previous: found
            .previous
            .map(|previous| search.url(&[("before", &previous)])),
        csv: search.url(&[("export", "csv")]),
        groups,
        deleted: cx.parameter("done") == "delete",
        changed: changed.map(|changed| BatchView::of(cx, changed)),
        typed,
        search,
        statuses: AccountStatus::ALL,
        errors: Errors::new(),
        alert: None,
        proving: cx.renderer.verify_email,
    };
    let Some(refused) = refused else {
        return render(cx, StatusCode::OK, &view);
    };
    cx.refuse_form(refused, ORDER, |problem, errors, alert| {
        view.errors = errors;
        view.alert = Some(alert);
        render(cx, problem, &view)
    })
}

fn render(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    view: &AccountsView<'_>,
) -> Response<Bytes> {
    cx.page_with_nav(place(AdminPage::Accounts), outcome, "admin-accounts.html", view)
}

impl Search {
    /// Reads a search; what cannot be read is told, rather than ignored.
    pub(super) fn read(cx: &SignedInRequest<'_>, text: impl Fn(&str) -> String) -> (Self, Errors) {
        let (status, sort) = (text("status"), text("sort"));
        let search = Self {
            q: text("q").trim().to_owned(),
            status: status.parse().ok(),
            group: text("group").trim().to_owned(),
            sort: if sort.parse::<AccountOrder>().is_ok() {
                sort.clone()
            } else {
                String::new()
            },
        };
        let mut errors = Errors::new();
        if search.status.is_none() && !status.is_empty() {
            let known: Vec<&str> = AccountStatus::ALL.iter().map(|status| status.as_str()).collect();
            errors.insert("status", none_of(cx, &known));
        }
        if search.sort.is_empty() && !sort.is_empty() {
            errors.insert("sort", none_of(cx, &AccountSort::ALL.map(AccountSort::as_str)));
        }
        (search, errors)
    }

    fn query(&self) -> AccountQuery {
        AccountQuery {
            filter: AccountFilter {
                text: Some(self.q.clone()).filter(|text| !text.is_empty()),
                status: self.status,
                group: Some(self.group.clone()).filter(|group| !group.is_empty()),
                ..AccountFilter::default()
            },
            order: self.sort.parse().ok(),
            ..AccountQuery::default()
        }
    }

    /// The page's URL with the search and more parameters.
    fn url(&self, more: &[(&str, &str)]) -> String {
        self.url_sorted(&self.sort, more)
    }

    fn url_sorted(&self, sort: &str, more: &[(&str, &str)]) -> String {
        let status = self.status.map_or("", AccountStatus::as_str);
        let own = [
            ("q", &*self.q),
            ("status", status),
            ("group", &*self.group),
            ("sort", sort),
        ];
        with_query(AdminPage::Accounts.path(), &[&own[..], more].concat())
    }

    fn columns(&self) -> Vec<Column> {
        let by = |by| Some((by, false));
        // The newest are what a column of times is looked through for.
        let newest = |by| Some((by, true));
        [
            ("account.email", by(AccountSort::Email)),
            ("account.name", by(AccountSort::Name)),
            ("account.groups", None),
            ("admin.created", newest(AccountSort::Created)),
            ("admin.last-sign-in", newest(AccountSort::LastSignIn)),
        ]
        .map(|(text, order)| self.column(text, order))
        .into()
    }

    /// `order`: what the column sorts by, and whether it descends at first.
    fn column(&self, text: &'static str, order: Option<(AccountSort, bool)>) -> Column {
        let Some((by, descends_first)) = order else {
            return Column {
                text,
                href: None,
                sorted: None,
            };
        };
        let unasked = AccountOrder {
            by: AccountSort::Created,
            descending: false,
        };
        // A search for a text is in the order of what it finds.
        let order = self
            .sort
            .parse()
            .ok()
            .or_else(|| self.q.is_empty().then_some(unasked));
        let current = order.filter(|order: &AccountOrder| order.by == by);
        let offered = AccountOrder {
            by,
            descending: current.map_or(descends_first, |order| !order.descending),
        };
        Column {
            text,
            href: Some(self.url_sorted(&offered.to_string(), &[])),
            sorted: current.map(|order| {
                if order.descending {
                    "descending"
                } else {
                    "ascending"
                }
            }),
        }
    }
}

impl BatchView {
    fn of(cx: &SignedInRequest<'_>, changed: ChangedAccounts) -> Self {
        let said =
            |key, count: usize| (count > 0).then(|| cx.renderer.texts.count(cx.lang, key, count as u64));
        Self {
            done: said("admin.batch-done", changed.done_count),
            done_accounts: changed.done,
            refused: said("admin.batch-refused", changed.refused_count),
            refused_accounts: changed.refused,
        }
    }
}
