//! Lists of sessions, by pages, for owners and administrators.

use serde::Serialize;

use super::signed_in::SignedInRequest;
use super::user_agent::{Device, device};
use crate::api::{SessionList, SessionView};
use crate::refusal::Refusal;
use crate::services::SessionInfo;

/// A session with the device that its `User-Agent` describes.
#[derive(Serialize)]
pub(super) struct SessionRow<'a> {
    #[serde(flatten)]
    session: &'a SessionView,
    device: Device,
}

/// The requested page: after the session `after`.
pub(super) fn page_of(cx: &SignedInRequest<'_>, sessions: &[SessionInfo]) -> Result<SessionList, Refusal> {
    let after = cx.cursor("after")?;
    Ok(SessionList::page(sessions, Some(cx.user.session.id()), after))
}

pub(super) fn rows(sessions: &[SessionView]) -> Vec<SessionRow<'_>> {
    let rows = sessions.iter().map(|session| SessionRow {
        device: device(session.user_agent.as_deref().unwrap_or_default()),
        session,
    });
    rows.collect()
}
