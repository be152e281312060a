//! `/.auth/admin/account?id=`: one account.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, accounts, query, refusal_of};
use crate::model::{Account, AccountStatus, Agreement, Decision, Username};
use crate::portal::Portal;
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::login::unavailable;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::response::ResponseOutcome;
use crate::portal::session_list::{SessionDocument, SessionList, SessionRow};
use crate::portal::signed_in::SignedInUser;
use crate::refusal::{Problem, Refusal};
use crate::secret::Secret;
use crate::services::{AccountVersion, SessionInfo};

pub(super) const PATH: &str = "/.auth/admin/account";

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
    pub(in crate::portal) refused: Option<(Refusal, Errors)>,
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
    standing: AccountStatus,
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

impl Portal {
    /// `id`: an id, an address or a username; `after`, for its sessions.
    pub(super) async fn account_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        let account = match self.services.accounts.find(&context.parameter("id")).await {
            Ok(account) => account,
            Err(error) => return self.renderer.refuse_visit(context, &refusal_of(&error)),
        };
        self.show_account(context, user, account, PageMessage::default())
            .await
    }

    pub(super) async fn show_account(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        account: Account,
        message: PageMessage<'_>,
    ) -> Response<Bytes> {
        match self.details(account).await {
            Ok(details) => self.renderer.account(context, user, &details, message),
            Err(refusal) => self.renderer.refuse_visit(context, &refusal),
        }
    }

    async fn details(&self, account: Account) -> Result<AccountDetails, Refusal> {
        let locked_for = self.services.admin_queries.locked_for(&account).await;
        Ok(AccountDetails {
            locked_for: locked_for.map_err(|error| unavailable(error.to_string()))?,
            sessions: self.services.sessions.list(Some(account.id)),
            account,
        })
    }
}

impl PageRenderer {
    pub(in crate::portal) fn account(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        details: &AccountDetails,
        message: PageMessage<'_>,
    ) -> Response<Bytes> {
        let list = SessionList::new(&details.sessions, user, &context.parameter("after"));
        if context.wants == ResponseFormat::Json {
            return match message.refused {
                Some((refusal, errors)) => self.refuse_fields(context, &refusal, errors),
                None => self.json(context, StatusCode::OK, &AccountDocument::of(details, &list)),
            };
        }
        let (status, errors, alert) = match message.refused {
            Some((refusal, errors)) => {
                // What others changed is no mistake in the form.
                let order = if refusal.problem == Problem::Conflict {
                    &[]
                } else {
                    ORDER
                };
                let alert = self.form_alert(context, &refusal, &errors, order);
                (ResponseOutcome::from(refusal.problem), errors, Some(alert))
            }
            None => (StatusCode::OK.into(), Errors::new(), None),
        };
        let groups: Vec<&str> = details.account.groups.iter().map(String::as_str).collect();
        let id = details.account.id.to_string();
        let view = AccountView {
            groups: groups.join(", "),
            proving: self.verify_email,
            locked_minutes: details.locked_for.map(|left| left.as_secs().div_ceil(60).max(1)),
            sessions: list.rows(),
            next: list
                .next
                .as_deref()
                .map(|next| query(PATH, &[("id", &id), ("after", next)])),
            recorded: query("/.auth/admin/audit", &[("account", &id)]),
            done: done(&context.parameter("done")),
            link: message.link.map(|link| link.expose().as_str()),
            account: AccountDocument::of(details, &list),
            errors,
            alert,
        };
        let place = AREA.at(accounts::PATH);
        self.member_page(context, user, place, status, "admin-account.html", &view)
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
            standing: account.standing,
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
