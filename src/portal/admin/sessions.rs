//! `/.auth/admin/sessions`: the live sessions of all accounts, or of one; ends them.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::change::unrecorded;
use super::{A_PAGE, place, unknown_action};
use crate::api::{EndedSessions, LiveSessionList};
use crate::ids::SessionId;
use crate::portal::form_errors::{ErrorSummary, Errors};
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageError, PageResult, SignedInContext};
use crate::portal::response::{ResponseOutcome, with_query};
use crate::portal::session_list::{SessionRow, rows};
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::{Problem, Refusal};
use crate::request::parse_decimal;
use crate::route::AdminPage;
use crate::services::{AccountError, AccountName, Actor, SessionCursor, SessionPage};

/// The account whose sessions are listed.
#[derive(Default, Serialize)]
pub(in crate::portal) struct SessionSearch {
    /// Its address, username or id, as typed.
    pub(in crate::portal) account: String,
    /// Its id and address.
    pub(in crate::portal) found: Option<(String, String)>,
}

#[derive(Serialize)]
struct SessionsView<'a> {
    search: &'a SessionSearch,
    /// How many sessions there are, in words.
    count: String,
    sessions: Vec<SessionRow<'a>>,
    /// The cursor of this page, for its forms.
    after: String,
    previous: Option<String>,
    next: Option<String>,
    /// How many sessions were ended just before, in words.
    ended: Option<String>,
    errors: Errors,
    alert: Option<ErrorSummary>,
}

/// Parameters: `account`, an address, a username or an id; `after` or `before`, a session.
pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let account = cx.parameter("account").trim().to_owned();
    let place = match (cx.cursor("after")?, cx.cursor("before")?) {
        (Some(after), _) => Some(SessionCursor::After(after)),
        (None, Some(before)) => Some(SessionCursor::Before(before)),
        (None, None) => None,
    };
    let named = match named(cx, &account).await? {
        Ok(named) => named,
        Err(errors) => return Ok(refused(cx, account, errors)),
    };
    let search = SessionSearch {
        account,
        found: named
            .as_ref()
            .map(|named| (named.id.to_string(), named.email.to_string())),
    };
    let found = cx
        .services
        .sessions
        .page(named.map(|named| named.id), place, A_PAGE);
    Ok(page(cx, &search, &found))
}

/// Fields: `action` "end-session" with `session`, an id, and perhaps `account`, which then must own it; or
/// "end-sessions" with `account`; `reason`; `after` of the page that is shown next.
pub(super) async fn post(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let account = fields.text("account").trim().to_owned();
    let named = match named(cx, &account).await? {
        Ok(named) => named,
        Err(errors) => return Ok(refused(cx, account, errors)),
    };
    let (accounts, origin) = (&cx.services.accounts, cx.origin());
    let ended = match (fields.text("action"), &named) {
        ("end-session", _) => {
            let (id, of) = (session(fields.text("session"))?, named.map(|named| named.id));
            accounts.end_session(id, of, by, &origin).await
        }
        ("end-sessions", Some(named)) => accounts.end_sessions(named, by, &origin).await,
        ("end-sessions", None) => {
            let errors = cx.field_error("account", "admin.whose-sessions");
            return Ok(refused(cx, account, errors));
        }
        _ => return Ok(refused(cx, account, unknown_action(cx))),
    };
    let ended_count = match ended {
        Ok(ended_count) => ended_count,
        Err(AccountError::Unrecorded(error)) => return Ok(unrecorded(cx, error)),
        Err(error) => return Err(error.into()),
    };
    let parameters = [
        ("account", &*account),
        ("after", fields.text("after")),
        ("done", "ended"),
        ("count", &*ended_count.to_string()),
    ];
    let to = with_query(AdminPage::Sessions.path(), &parameters);
    Ok(cx.json_or_see_other(StatusCode::OK, &EndedSessions { ended_count }, &to))
}

/// Finds the account, if one is named; the errors of the form if there is none.
async fn named(
    cx: &SignedInContext<'_>,
    account: &str,
) -> Result<Result<Option<AccountName>, Errors>, PageError> {
    if account.is_empty() {
        return Ok(Ok(None));
    }
    match cx.services.accounts.locate(account).await {
        Ok(named) => Ok(Ok(Some(named))),
        Err(AccountError::NotFound(_)) => Ok(Err(cx.field_error("account", "admin.no-account"))),
        Err(error) => Err(error.into()),
    }
}

fn session(id: &str) -> Result<SessionId, Refusal> {
    id.parse()
        .map_err(|_| Refusal::because(Problem::InvalidInput, "the session is named by no id"))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    search: &SessionSearch,
    found: &SessionPage,
) -> Response<Bytes> {
    let list = LiveSessionList::new(found, cx.user.session.id());
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &list);
    }
    let link = |name: &str, id: SessionId| {
        let parameters = [("account", &*search.account), (name, &*id.to_string())];
        with_query(AdminPage::Sessions.path(), &parameters)
    };
    let texts = &cx.renderer.texts;
    let count = |key, count: usize| texts.count(cx.lang, key, count.try_into().unwrap_or(u64::MAX));
    let ended = parse_decimal(&cx.parameter("count")).filter(|_| cx.parameter("done") == "ended");
    let view = SessionsView {
        count: count("admin.session-count", list.session_count),
        sessions: rows(&list.sessions),
        after: cx.parameter("after"),
        previous: list.previous.map(|id| link("before", id)),
        next: list.next.map(|id| link("after", id)),
        ended: ended.map(|ended| count("admin.done-ended", ended)),
        ..SessionsView::empty(search)
    };
    show(cx, StatusCode::OK, &view)
}

pub(in crate::portal) fn refused(
    cx: &SignedInRequest<'_>,
    account: String,
    errors: Errors,
) -> Response<Bytes> {
    let search = SessionSearch { account, found: None };
    cx.refuse_form(errors.into(), &["account"], |problem, errors, alert| {
        let view = SessionsView {
            errors,
            alert: Some(alert),
            ..SessionsView::empty(&search)
        };
        show(cx, problem, &view)
    })
}

fn show(
    cx: &SignedInRequest<'_>,
    outcome: impl Into<ResponseOutcome>,
    view: &SessionsView<'_>,
) -> Response<Bytes> {
    cx.page_with_nav(place(AdminPage::Sessions), outcome, "admin-sessions.html", view)
}

impl<'a> SessionsView<'a> {
    /// The view without sessions.
    fn empty(search: &'a SessionSearch) -> Self {
        Self {
            search,
            count: String::new(),
            sessions: Vec::new(),
            after: String::new(),
            previous: None,
            next: None,
            ended: None,
            errors: Errors::new(),
            alert: None,
        }
    }
}
