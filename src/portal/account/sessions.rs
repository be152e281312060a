//! `/.auth/account/sessions`: where I am signed in.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::device::{Device, device};
use super::{AREA, Member, refusal_of};
use crate::ids::SessionId;
use crate::portal::Portal;
use crate::portal::forms::Fields;
use crate::portal::moment::moment;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::refusal::{Problem, Refusal};
use crate::services::{LiveSession, SessionInfo};

const PATH: &str = "/.auth/account/sessions";

#[derive(Serialize)]
struct SessionsView {
    sessions: Vec<Row>,
    others: bool,
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
}

#[derive(Serialize)]
struct Ended {
    ended: usize,
}

impl Portal {
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
        if visit.wants == Wants::Json {
            let sessions = sessions
                .iter()
                .map(|info| Document::of(info, is_current(info)))
                .collect();
            return self.json(visit, StatusCode::OK, &Documents { sessions });
        }
        let mut rows: Vec<Row> = sessions
            .iter()
            .map(|info| Row {
                id: info.session.id.to_string(),
                device: device(&info.session.user_agent),
                address: info.session.address.to_string(),
                signed_in: moment(info.session.created_at),
                last_seen: moment(info.session.last_seen_at),
                current: is_current(info),
            })
            .collect();
        rows.sort_by_key(|row| !row.current);
        let view = SessionsView {
            others: rows.iter().any(|row| !row.current),
            sessions: rows,
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
