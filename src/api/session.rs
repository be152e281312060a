//! Sessions as JSON.

use std::cmp::Reverse;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, SessionId};
use crate::model::{AccessKeyId, SignInMethod};
use crate::services::{SessionInfo, SessionPage};

/// Sessions on a page, beside the current one.
const A_PAGE: usize = 50;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// The public id.
    pub id: SessionId,
    /// The user's account.
    pub account: AccountId,
    /// The user's e-mail address.
    pub email: String,
    /// The method of the sign-in.
    pub method: SignInMethod,
    /// The access key that started the session, and ends it.
    pub access_key: Option<AccessKeyId>,
    /// When it started.
    pub created_at: Timestamp,
    /// The last use, to half a minute.
    pub last_seen_at: Timestamp,
    /// When it expires unless it is used.
    pub expires_at: Timestamp,
    /// The address of the sign-in.
    pub address: IpAddr,
    /// The `User-Agent` of the sign-in.
    pub user_agent: Option<String>,
    /// Whether it is the session of this request.
    pub current: bool,
}

impl From<&SessionInfo> for SessionView {
    fn from(info: &SessionInfo) -> Self {
        let session = &info.session;
        Self {
            id: session.id,
            account: session.account,
            email: info.email.clone(),
            method: session.method,
            access_key: session.access_key,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: info.expires_at,
            address: session.address,
            user_agent: Some(session.user_agent.clone()).filter(|name| !name.is_empty()),
            current: false,
        }
    }
}

/// A page of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList {
    /// The sessions.
    pub sessions: Vec<SessionView>,
    /// The cursor of the next page.
    pub next: Option<SessionId>,
}

impl SessionList {
    /// Lists all sessions in this order.
    pub fn all(sessions: &[SessionInfo]) -> Self {
        Self {
            sessions: sessions.iter().map(SessionView::from).collect(),
            next: None,
        }
    }

    /// Returns a page, newest first: the sessions after `after`, or the first ones behind the `current`
    /// session.
    pub fn page(sessions: &[SessionInfo], current: Option<SessionId>, after: Option<SessionId>) -> Self {
        let (mut shown, mut others): (Vec<_>, Vec<_>) =
            sessions.iter().partition(|info| Some(info.session.id) == current);
        // Ids sort by time.
        others.sort_by_key(|info| Reverse(info.session.id));
        if let Some(after) = after {
            shown.clear();
            others.retain(|info| info.session.id < after);
        }
        let more = others.len() > A_PAGE;
        others.truncate(A_PAGE);
        let next = others.last().map(|info| info.session.id).filter(|_| more);
        let view = |info| {
            let view = SessionView::from(info);
            let current = Some(view.id) == current;
            SessionView { current, ..view }
        };
        Self {
            sessions: shown.into_iter().chain(others).map(view).collect(),
            next,
        }
    }
}

/// A page of the live sessions of all accounts, or of one, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSessionList {
    /// The sessions.
    pub sessions: Vec<SessionView>,
    /// How many there are on all pages.
    pub session_count: usize,
    /// The cursor of the previous page.
    pub previous: Option<SessionId>,
    /// The cursor of the next page.
    pub next: Option<SessionId>,
}

impl LiveSessionList {
    /// Lists a page; `current` is the session of the request.
    pub fn new(page: &SessionPage, current: SessionId) -> Self {
        let view = |info| {
            let view = SessionView::from(info);
            SessionView {
                current: view.id == current,
                ..view
            }
        };
        Self {
            sessions: page.sessions.iter().map(view).collect(),
            session_count: page.count,
            previous: page.previous,
            next: page.next,
        }
    }
}

/// The result of ending sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSessions {
    /// Their number.
    pub ended_count: usize,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::model::{Session, TokenDigest};
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
        let current = sessions[7].session.id;
        let (mut after, mut pages) = (None, Vec::new());
        loop {
            let page = SessionList::page(&sessions, Some(current), after);
            assert!(
                page.sessions
                    .iter()
                    .all(|shown| shown.current == (shown.id == current))
            );
            pages.push(page.sessions.iter().map(|shown| shown.id).collect::<Vec<_>>());
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [51, 50, 19]);
        assert_eq!(pages[0][..2], [current, sessions[119].session.id]);
        assert_eq!(pages.concat().into_iter().collect::<BTreeSet<_>>().len(), 120);
    }

    #[test]
    fn what_fits_a_page_has_no_next() {
        let sessions = sessions(51);
        let current = sessions[0].session.id;
        assert_eq!(SessionList::page(&sessions, Some(current), None).next, None);
        assert_eq!(SessionList::page(&sessions[..50], None, None).next, None);
        assert!(SessionList::page(&sessions, None, None).next.is_some());
    }
}
