//! `/.auth/account/sessions`: where I am signed in.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, Member, refusal_of};
use crate::ids::SessionId;
use crate::portal::Portal;
use crate::portal::forms::Fields;
use crate::portal::session_list::{SessionDocument, SessionList, SessionRow};
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::refusal::{Problem, Refusal};
use crate::services::SessionInfo;

const PATH: &str = "/.auth/account/sessions";

#[derive(Serialize)]
struct SessionsView {
    sessions: Vec<SessionRow>,
    others: bool,
    next: Option<String>,
    ended: bool,
}

#[derive(Serialize)]
struct Documents<'a> {
    sessions: Vec<SessionDocument<'a>>,
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

    /// `session`: the id of one, or `which`: "others"; `current_password` of whoever signed in with an access key.
    pub(super) async fn end_sessions(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        // Whoever has a key signs themselves out, and nobody else without the password.
        let this = member.session.id().to_string();
        let signs_out = fields.text("which") != "others" && fields.text("session") == this;
        if !signs_out
            && !self.is_trusted(member)
            && let Err(asked) = self
                .require_proof(visit, member, AREA.at(PATH), &mut fields)
                .await
        {
            return asked;
        }
        let (own, origin) = (&self.services.own_account, visit.origin());
        let ended = if fields.text("which") == "others" {
            own.end_other_sessions(member.session, &origin).await
        } else {
            let Ok(session) = fields.text("session").parse::<SessionId>() else {
                return self.site.refuse_visit(visit, &Refusal::new(Problem::NotFound));
            };
            own.end_session(member.session, session, &origin)
                .await
                .map(usize::from)
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
        let list = SessionList::new(sessions, member, &visit.parameter("after"));
        if visit.wants == Wants::Json {
            let document = Documents {
                sessions: list.documents(),
                next: list.next,
            };
            return self.json(visit, StatusCode::OK, &document);
        }
        let this = Some(member.session.id());
        let view = SessionsView {
            others: sessions.iter().any(|info| Some(info.session.id) != this),
            sessions: list.rows(),
            next: list.next.map(|next| format!("{PATH}?after={next}")),
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
