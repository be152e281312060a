//! `/.auth/admin`: what is going on.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::AREA;
use crate::portal::Portal;
use crate::portal::member::Member;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};

const PATH: &str = "/.auth/admin";

/// What the page shows.
#[derive(Serialize)]
pub(in crate::portal) struct Overview {
    /// People who are signed in, each counted once for each of their sessions.
    pub(in crate::portal) sessions: usize,
}

impl Portal {
    pub(super) fn overview_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        let overview = Overview {
            sessions: self.services.sessions.list(None).len(),
        };
        self.site.overview(visit, member, &overview)
    }
}

impl Site {
    pub(in crate::portal) fn overview(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        overview: &Overview,
    ) -> Response<Bytes> {
        if visit.wants == Wants::Json {
            return self.json(visit, StatusCode::OK, overview);
        }
        self.member_page(
            visit,
            member,
            AREA.at(PATH),
            StatusCode::OK,
            "admin-overview.html",
            overview,
        )
    }
}
