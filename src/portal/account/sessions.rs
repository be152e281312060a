//! `/.auth/account/sessions`: the account's sessions; ends them.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{done, place};
use crate::api::{EndedSessions, SessionList};
use crate::ids::SessionId;
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::reauthenticate::{is_trusted, require_reauthentication};
use crate::portal::response::with_query;
use crate::portal::session_list::{SessionRow, page_of, rows};
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::Problem;
use crate::route::AccountPage;
use crate::services::SessionInfo;

#[derive(Serialize)]
struct SessionsView<'a> {
    sessions: Vec<SessionRow<'a>>,
    others: bool,
    next: Option<String>,
    ended: bool,
}

/// Parameters: `after`.
pub(super) fn get(cx: &SignedInContext<'_>) -> PageResult {
    let sessions = cx.services.sessions.list(Some(cx.user.principal.account));
    let list = page_of(cx, &sessions)?;
    Ok(page(cx, &sessions, &list))
}

/// Fields: `session`, an id, or `which` "others"; `current_password`, required in a session that an access
/// key started.
pub(super) async fn post(cx: &SignedInContext<'_>, mut fields: Fields) -> PageResult {
    // A session that an access key started ends itself without the password, but no other session.
    let this = cx.user.session.id().to_string();
    let signs_out = fields.text("which") != "others" && fields.text("session") == this;
    if !signs_out && !is_trusted(cx) {
        require_reauthentication(cx, place(AccountPage::Sessions), &mut fields).await?;
    }
    let (settings, origin) = (&cx.services.account_settings, cx.origin());
    let ended_count = if fields.text("which") == "others" {
        settings.end_other_sessions(cx.user.session, &origin).await?
    } else {
        let session = fields.text("session").parse::<SessionId>();
        let session = session.map_err(|_| Problem::NotFound)?;
        let ended = settings.end_session(cx.user.session, session, &origin);
        usize::from(ended.await?)
    };
    let to = done(AccountPage::Sessions, "ended");
    Ok(cx.json_or_see_other(StatusCode::OK, &EndedSessions { ended_count }, &to))
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    sessions: &[SessionInfo],
    list: &SessionList,
) -> Response<Bytes> {
    if cx.wants_json() {
        return cx.json(StatusCode::OK, list);
    }
    let this = Some(cx.user.session.id());
    let next = |next: SessionId| with_query(AccountPage::Sessions.path(), &[("after", &next.to_string())]);
    let view = SessionsView {
        others: sessions.iter().any(|info| Some(info.session.id) != this),
        sessions: rows(&list.sessions),
        next: list.next.map(next),
        ended: cx.parameter("done") == "ended",
    };
    cx.page_with_nav(
        place(AccountPage::Sessions),
        StatusCode::OK,
        "account-sessions.html",
        &view,
    )
}
