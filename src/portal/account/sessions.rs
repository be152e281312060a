//! `/.auth/account/sessions`: where I am signed in.

use std::cmp::Reverse;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::device::{Device, device};
use super::{AREA, Member, refusal_of};
use crate::ids::SessionId;
use crate::portal::Portal;
use crate::portal::forms::Fields;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::refusal::{Problem, Refusal};
use crate::services::{LiveSession, SessionInfo};

const PATH: &str = "/.auth/account/sessions";

/// Rows of a page, beside the current session.
const A_PAGE: usize = 50;

#[derive(Serialize)]
struct SessionsView {
    sessions: Vec<Row>,
    others: bool,
    next: Option<String>,
    ended: bool,
}

#[derive(Serialize)]
struct Row {
    id: String,
    device: Device,
    address: String,
    signed_in: String,
    last_seen: String,
    current: bool,
}

/// A session, as its owner's programs read it.
#[derive(Serialize)]
struct Document<'a> {
    id: String,
    current: bool,
    method: &'static str,
    address: String,
    user_agent: &'a str,
    created_at: String,
    last_seen_at: String,
    expires_at: String,
}

#[derive(Serialize)]
struct Documents<'a> {
    sessions: Vec<Document<'a>>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Ended {
    ended: usize,
}

impl Portal {
    /// `after`
    pub(super) fn sessions_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        let sessions = self.services.sessions.list(Some(member.principal.account));
        self.site.own_sessions(visit, member, &sessions)
    }

    /// `session`: the id of one, or `which`: "others".
    pub(super) async fn end_sessions(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        fields: &Fields,
    ) -> Response<Bytes> {
        let (own, id, origin) = (
            &self.services.own_account,
            member.principal.account,
            visit.origin(),
        );
        let ended = if fields.text("which") == "others" {
            own.end_other_sessions(id, member.session, &origin).await
        } else {
            let Ok(session) = fields.text("session").parse::<SessionId>() else {
                return self.site.refuse_visit(visit, &Refusal::new(Problem::NotFound));
            };
            own.end_session(id, session, &origin).await.map(usize::from)
        };
        match ended {
            Err(error) => self.site.refuse_visit(visit, &refusal_of(&error)),
            Ok(ended) if visit.wants == Wants::Json => {
                self.site.json(visit, StatusCode::OK, &Ended { ended })
            }
            Ok(_) => self.site.see_other(visit, "/.auth/account/sessions?done=ended"),
        }
    }
}

impl Site {
    pub(in crate::portal) fn own_sessions(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        sessions: &[SessionInfo],
    ) -> Response<Bytes> {
        let this = member.session.map(LiveSession::id).or(member.principal.session);
        let is_current = |info: &SessionInfo| Some(info.session.id) == this;
        let (shown, next) = page(sessions, this, visit.parameter("after").parse().ok());
        let next = next.map(|next| next.to_string());
        if visit.wants == Wants::Json {
            let sessions = shown
                .into_iter()
                .map(|info| Document::of(info, is_current(info)))
                .collect();
            return self.json(visit, StatusCode::OK, &Documents { sessions, next });
        }
        let rows = shown
            .into_iter()
            .map(|info| Row {
                id: info.session.id.to_string(),
                device: device(&info.session.user_agent),
                address: info.session.address.to_string(),
                signed_in: info.session.created_at.to_string(),
                last_seen: info.session.last_seen_at.to_string(),
                current: is_current(info),
            })
            .collect();
        let view = SessionsView {
            others: sessions.iter().any(|info| !is_current(info)),
            sessions: rows,
            next: next.map(|next| format!("{PATH}?after={next}")),
            ended: visit.parameter("done") == "ended",
        };
        self.member_page(
            visit,
            member,
            AREA.at(PATH),
            StatusCode::OK,
            "account-sessions.html",
            &view,
        )
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

impl<'a> Document<'a> {
    fn of(info: &'a SessionInfo, current: bool) -> Self {
        let session = &info.session;
        Self {
            id: session.id.to_string(),
            current,
            method: session.method.as_str(),
            address: session.address.to_string(),
            user_agent: &session.user_agent,
            created_at: session.created_at.to_string(),
            last_seen_at: session.last_seen_at.to_string(),
            expires_at: info.expires_at.to_string(),
        }
    }
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
                    created_at: at,
                    last_seen_at: at,
                    proved_at: None,
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
