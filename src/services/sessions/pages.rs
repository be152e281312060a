//! Lists of live sessions: of one account, and of all by pages.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::{ActiveSession, Sessions};
use crate::ids::{AccountId, SessionId};
use crate::model::{Session, TokenDigest};
use crate::store::SessionsToEnd;

/// A session with what lists show beside the stored fields.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SessionInfo {
    /// The stored fields, with the current last use.
    #[serde(flatten)]
    pub session: Session,
    /// The e-mail address of its owner.
    pub email: String,
    /// When it expires unless it is used.
    pub expires_at: Timestamp,
}

/// The place of a page in the list of sessions, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionCursor {
    /// The page begins after this session.
    After(SessionId),
    /// The page ends before this session.
    Before(SessionId),
}

/// A page of live sessions, newest first.
#[derive(Clone, Debug, Default)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<SessionInfo>,
    /// How many there are on all pages.
    pub count: usize,
    /// The session before which the previous page ends; `None` on the first page.
    pub previous: Option<SessionId>,
    /// The session after which the next page begins; `None` on the last page.
    pub next: Option<SessionId>,
}

impl Sessions {
    /// Lists the sessions of an account, or all, newest first.
    pub fn list(&self, account: Option<AccountId>) -> Vec<SessionInfo> {
        let now = self.moment();
        let which = account.map_or(SessionsToEnd::All, |id| SessionsToEnd::Account(id, None));
        let mut list: Vec<SessionInfo> = self
            .matching(which)
            .into_iter()
            .filter(|session| !session.is_over(now))
            .map(|session| SessionInfo::of(&session))
            .collect();
        list.sort_by_key(|info| Reverse((info.session.created_at, info.session.id)));
        list
    }

    /// Returns a live session by its id.
    pub(in crate::services) fn info(&self, id: SessionId) -> Option<SessionInfo> {
        let now = self.moment();
        let found = self.matching(SessionsToEnd::Id(id)).into_iter().next();
        found
            .filter(|session| !session.is_over(now))
            .map(|session| SessionInfo::of(&session))
    }

    /// Counts the live sessions.
    pub fn count(&self) -> usize {
        let now = self.moment();
        self.live
            .pin()
            .values()
            .filter(|session| !session.is_over(now))
            .count()
    }

    /// Returns a page of at most `limit` sessions of an account, or of all. Looks at the id of each session
    /// in memory, and at the rest of those on the page alone.
    pub fn page(
        &self,
        account: Option<AccountId>,
        place: Option<SessionCursor>,
        limit: usize,
    ) -> SessionPage {
        let mut rows = self.row_ids(account);
        let count = rows.len();
        // Ids sort by time.
        let newer = |than: SessionId| rows.iter().filter(|(id, _)| *id > than).count();
        let skipped = match place {
            None => 0,
            Some(SessionCursor::After(id)) => rows.iter().filter(|(row, _)| *row >= id).count(),
            Some(SessionCursor::Before(id)) => newer(id).saturating_sub(limit),
        };
        if skipped >= count {
            return SessionPage {
                count,
                ..SessionPage::default()
            };
        }
        let by_age = |row: &(SessionId, TokenDigest)| Reverse(row.0);
        if skipped > 0 {
            rows.select_nth_unstable_by_key(skipped - 1, by_age);
        }
        let rest = &mut rows[skipped..];
        let has_next = rest.len() > limit;
        if has_next {
            rest.select_nth_unstable_by_key(limit - 1, by_age);
        }
        let shown = rest.len().min(limit);
        let shown = &mut rest[..shown];
        shown.sort_unstable_by_key(by_age);
        let ends = (shown.first().map(|row| row.0), shown.last().map(|row| row.0));
        let live = self.live.pin();
        SessionPage {
            sessions: shown
                .iter()
                .filter_map(|(_, digest)| live.get(digest).map(|session| SessionInfo::of(session)))
                .collect(),
            count,
            previous: ends.0.filter(|_| skipped > 0),
            next: ends.1.filter(|_| has_next),
        }
    }

    fn row_ids(&self, account: Option<AccountId>) -> Vec<(SessionId, TokenDigest)> {
        let now = self.moment();
        let row = |session: &ActiveSession| (session.id(), session.digest());
        match account {
            Some(id) => self
                .matching(SessionsToEnd::Account(id, None))
                .iter()
                .filter(|session| !session.is_over(now))
                .map(|session| row(session))
                .collect(),
            None => self
                .live
                .pin()
                .values()
                .filter(|session| !session.is_over(now))
                .map(|session| row(session))
                .collect(),
        }
    }
}

impl SessionInfo {
    fn of(session: &ActiveSession) -> Self {
        Self {
            session: session.session(),
            email: session.principal().email.to_string(),
            expires_at: session.expires_at(),
        }
    }
}
