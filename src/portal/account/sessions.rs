//! `/.auth/account/sessions`: where I am signed in.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, SignedInUser, refusal_of};
use crate::ids::SessionId;
use crate::portal::Portal;
use crate::portal::forms::Fields;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::session_list::{SessionDocument, SessionList, SessionRow};
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
struct SessionDocuments<'a> {
    sessions: Vec<SessionDocument<'a>>,
    next: Option<String>,
}

#[derive(Serialize)]
struct EndedDocument {
    ended: usize,
}

impl Portal {
    /// `after`
    pub(super) fn sessions_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        let sessions = self.services.sessions.list(Some(user.principal.account));
        self.renderer.own_sessions(context, user, &sessions)
    }

    /// `session`: the id of one, or `which`: "others"; `current_password` of whoever signed in with an access key.
    pub(super) async fn end_sessions(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        // Whoever has a key signs themselves out, and nobody else without the password.
        let this = user.session.id().to_string();
        let signs_out = fields.text("which") != "others" && fields.text("session") == this;
        if !signs_out
            && !self.is_trusted(user)
            && let Err(asked) = self
                .require_reauthentication(context, user, AREA.at(PATH), &mut fields)
                .await
        {
            return asked;
        }
        let (own, origin) = (&self.services.account_settings, context.origin());
        let ended = if fields.text("which") == "others" {
            own.end_other_sessions(user.session, &origin).await
        } else {
            let Ok(session) = fields.text("session").parse::<SessionId>() else {
                return self
                    .renderer
                    .refuse_visit(context, &Refusal::new(Problem::NotFound));
            };
            own.end_session(user.session, session, &origin)
                .await
                .map(usize::from)
        };
        match ended {
            Err(error) => self.renderer.refuse_visit(context, &refusal_of(&error)),
            Ok(ended) if context.wants == ResponseFormat::Json => {
                self.renderer
                    .json(context, StatusCode::OK, &EndedDocument { ended })
            }
            Ok(_) => self
                .renderer
                .see_other(context, "/.auth/account/sessions?done=ended"),
        }
    }
}

impl PageRenderer {
    pub(in crate::portal) fn own_sessions(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        sessions: &[SessionInfo],
    ) -> Response<Bytes> {
        let list = SessionList::new(sessions, user, &context.parameter("after"));
        if context.wants == ResponseFormat::Json {
            let document = SessionDocuments {
                sessions: list.documents(),
                next: list.next,
            };
            return self.json(context, StatusCode::OK, &document);
        }
        let this = Some(user.session.id());
        let view = SessionsView {
            others: sessions.iter().any(|info| Some(info.session.id) != this),
            sessions: list.rows(),
            next: list.next.map(|next| format!("{PATH}?after={next}")),
            ended: context.parameter("done") == "ended",
        };
        self.member_page(
            context,
            user,
            AREA.at(PATH),
            StatusCode::OK,
            "account-sessions.html",
            &view,
        )
    }
}
