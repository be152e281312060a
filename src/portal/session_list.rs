//! Sessions as a list, a page at a time: for their owner and for administrators.

use serde::Serialize;

use super::signed_in::SignedInRequest;
use super::user_agent::{Device, device};
use crate::api::{SessionList, SessionView};
use crate::services::SessionInfo;

/// A session, as people see it.
#[derive(Serialize)]
pub(super) struct SessionRow<'a> {
    #[serde(flatten)]
    session: &'a SessionView,
    device: Device,
}

/// The page that is asked for: that after the session `after`.
pub(super) fn page_of(cx: &SignedInRequest<'_>, sessions: &[SessionInfo]) -> SessionList {
    let after = cx.parameter("after").parse().ok();
    SessionList::page(sessions, Some(cx.user.session.id()), after)
}

pub(super) fn rows(sessions: &[SessionView]) -> Vec<SessionRow<'_>> {
    let rows = sessions.iter().map(|session| SessionRow {
        device: device(session.user_agent.as_deref().unwrap_or_default()),
        session,
    });
    rows.collect()
}
