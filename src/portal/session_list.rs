//! Sessions as a list, a page at a time: for their owner and for administrators, for people and for programs.

use std::cmp::Reverse;

use serde::Serialize;

use super::signed_in::SignedInUser;
use super::user_agent::{Device, device};
use crate::ids::SessionId;
use crate::model::AccessKeyId;
use crate::services::SessionInfo;

/// Rows of a page, beside the current session.
const A_PAGE: usize = 50;

/// A page of sessions.
pub(super) struct SessionList<'a> {
    shown: Vec<&'a SessionInfo>,
    this: Option<SessionId>,
    /// What the next page comes after.
    pub(super) next: Option<String>,
}

/// A session, as people see it.
#[derive(Serialize)]
pub(super) struct SessionRow {
    id: String,
    device: Device,
    /// The access key that it was begun with.
    access_key: Option<String>,
    address: String,
    signed_in: String,
    last_seen: String,
    current: bool,
}

/// A session, as programs read it.
#[derive(Serialize)]
pub(super) struct SessionDocument<'a> {
    id: String,
    current: bool,
    method: &'static str,
    access_key: Option<&'a str>,
    address: String,
    user_agent: &'a str,
    created_at: String,
    last_seen_at: String,
    expires_at: String,
}

impl<'a> SessionList<'a> {
    /// The page after the session `after`, the first one if that names none; `user` looks at it.
    pub(super) fn new(sessions: &'a [SessionInfo], user: SignedInUser<'_>, after: &str) -> Self {
        let this = Some(user.session.id());
        let (shown, next) = page(sessions, this, after.parse().ok());
        Self {
            shown,
            this,
            next: next.map(|next| next.to_string()),
        }
    }

    pub(super) fn rows(&self) -> Vec<SessionRow> {
        let row = |info: &&SessionInfo| SessionRow {
            id: info.session.id.to_string(),
            device: device(&info.session.user_agent),
            access_key: info.session.access_key.map(|key| key.to_string()),
            address: info.session.address.to_string(),
            signed_in: info.session.created_at.to_string(),
            last_seen: info.session.last_seen_at.to_string(),
            current: Some(info.session.id) == self.this,
        };
        self.shown.iter().map(row).collect()
    }

    pub(super) fn documents(&self) -> Vec<SessionDocument<'a>> {
        let document = |&info: &&'a SessionInfo| SessionDocument {
            id: info.session.id.to_string(),
            current: Some(info.session.id) == self.this,
            method: info.session.method.as_str(),
            access_key: info.session.access_key.as_ref().map(AccessKeyId::as_str),
            address: info.session.address.to_string(),
            user_agent: &info.session.user_agent,
            created_at: info.session.created_at.to_string(),
            last_seen_at: info.session.last_seen_at.to_string(),
            expires_at: info.expires_at.to_string(),
        };
        self.shown.iter().map(document).collect()
    }
}

/// A page of them, the newest first and the current one before all; and what the next page comes after.
fn page(
    sessions: &[SessionInfo],
    this: Option<SessionId>,
    after: Option<SessionId>,
) -> (Vec<&SessionInfo>, Option<SessionId>) {
    let (mut shown, mut others): (Vec<_>, Vec<_>) =
        sessions.iter().partition(|info| Some(info.session.id) == this);
    // Ids sort by when they were made.
    others.sort_by_key(|info| Reverse(info.session.id));
    if let Some(after) = after {
        shown.clear();
        others.retain(|info| info.session.id < after);
    }
    let more = others.len() > A_PAGE;
    others.truncate(A_PAGE);
    let next = others.last().map(|info| info.session.id).filter(|_| more);
    shown.extend(others);
    (shown, next)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::ids::AccountId;
    use crate::model::{Session, SignInMethod, TokenDigest};
    use crate::random::Random;

    fn sessions(count: u64) -> Vec<SessionInfo> {
        let random = Random::seeded(1);
        let account = AccountId::new(Timestamp::UNIX_EPOCH, &random);
        let session = |n| {
            let at = Timestamp::UNIX_EPOCH + Duration::from_secs(n);
            SessionInfo {
                session: Session {
                    id: SessionId::new(at, &random),
                    digest: TokenDigest::from_bytes([0; 32]),
                    account,
                    method: SignInMethod::Password,
                    access_key: None,
                    created_at: at,
                    last_seen_at: at,
                    proved_at: None,
                    password_changed_at: None,
                    address: [192, 0, 2, 1].into(),
                    user_agent: String::new(),
                },
                email: "mina@example.com".to_owned(),
                expires_at: at,
            }
        };
        (0..count).map(session).collect()
    }

    #[test]
    fn pages_have_every_session_once_and_the_current_one_first() {
        let sessions = sessions(120);
        let this = sessions[7].session.id;
        let (mut after, mut pages) = (None, Vec::new());
        loop {
            let (shown, next) = page(&sessions, Some(this), after);
            pages.push(shown.iter().map(|info| info.session.id).collect::<Vec<_>>());
            after = next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [51, 50, 19]);
        assert_eq!(pages[0][..2], [this, sessions[119].session.id]);
        assert_eq!(pages.concat().into_iter().collect::<BTreeSet<_>>().len(), 120);
    }

    #[test]
    fn what_fits_a_page_has_no_next() {
        let sessions = sessions(51);
        let this = sessions[0].session.id;
        assert_eq!(page(&sessions, Some(this), None).1, None);
        assert_eq!(page(&sessions[..50], None, None).1, None);
        assert!(page(&sessions, None, None).1.is_some());
    }
}
