//! `/.auth/admin/accounts`: accounts among many.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{A_PAGE, AREA, query};
use crate::model::{Account, AccountStatus};
use crate::portal::Portal;
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::login::unavailable;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::response::ResponseOutcome;
use crate::portal::signed_in::SignedInUser;
use crate::refusal::{Problem, Refusal};
use crate::services::{AccountFilter, AccountPage};

pub(super) const PATH: &str = "/.auth/admin/accounts";

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
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unreadable: &'a [String],
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

impl Portal {
    /// `q`, `standing`, `group`, `after`
    pub(super) async fn accounts_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        let named = context.parameter("standing");
        let search = Search {
            q: context.parameter("q").trim().to_owned(),
            standing: STANDINGS
                .iter()
                .copied()
                .find(|standing| status_name(*standing) == named),
            group: context.parameter("group").trim().to_owned(),
        };
        if search.standing.is_none() && !named.is_empty() {
            return self.renderer.refuse_accounts(context, user, &search);
        }
        let filter = AccountFilter {
            text: Some(search.q.clone()),
            standing: search.standing,
            group: Some(search.group.clone()).filter(|group| !group.is_empty()),
        };
        let after = Some(context.parameter("after")).filter(|after| !after.is_empty());
        match self
            .services
            .admin_queries
            .find_accounts(filter, after, A_PAGE)
            .await
        {
            Ok(page) => self.renderer.accounts(context, user, &search, &page),
            Err(error) => self
                .renderer
                .refuse_visit(context, &unavailable(error.to_string())),
        }
    }
}

impl PageRenderer {
    pub(in crate::portal) fn accounts(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        search: &Search,
        page: &AccountPage,
    ) -> Response<Bytes> {
        let found = FoundAccounts {
            accounts: page.accounts.iter().map(AccountRow::of).collect(),
            unreadable: &page.unreadable,
            next: page.next.as_deref(),
        };
        if context.wants == ResponseFormat::Json {
            return self.json(context, StatusCode::OK, &found);
        }
        let next = found.next.map(|next| {
            let standing = search.standing.map_or("", status_name);
            let parameters = [
                ("q", &*search.q),
                ("standing", standing),
                ("group", &*search.group),
                ("after", next),
            ];
            query(PATH, &parameters)
        });
        let view = AccountsView {
            search,
            standings: STANDINGS,
            found,
            next,
            deleted: context.parameter("done") == "delete",
            errors: Errors::new(),
            alert: None,
            proving: self.verify_email,
        };
        self.accounts_view(context, user, StatusCode::OK, &view)
    }

    /// A state that is none.
    fn refuse_accounts(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        search: &Search,
    ) -> Response<Bytes> {
        let refusal = Refusal::new(Problem::InvalidInput);
        let known: Vec<&str> = STANDINGS.iter().copied().map(status_name).collect();
        let errors = Errors::from([("standing", self.none_of(context, &known))]);
        self.refuse_form(context, &refusal, errors, &["standing"], |errors, alert| {
            let view = AccountsView {
                search,
                standings: STANDINGS,
                found: FoundAccounts {
                    accounts: Vec::new(),
                    unreadable: &[],
                    next: None,
                },
                next: None,
                deleted: false,
                proving: self.verify_email,
                errors,
                alert: Some(alert),
            };
            self.accounts_view(context, user, refusal.problem, &view)
        })
    }

    fn accounts_view(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        outcome: impl Into<ResponseOutcome>,
        view: &AccountsView<'_>,
    ) -> Response<Bytes> {
        self.member_page(context, user, AREA.at(PATH), outcome, "admin-accounts.html", view)
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
