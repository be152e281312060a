//! `/.auth/admin`: what is going on.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::AREA;
use crate::portal::Portal;
use crate::portal::login::unavailable;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::signed_in::SignedInUser;
use crate::refusal::Refusal;

pub(super) const PATH: &str = "/.auth/admin";

/// What the page shows.
#[derive(Serialize)]
pub(in crate::portal) struct Overview {
    /// People who are signed in, each counted once for each of their sessions.
    pub(in crate::portal) sessions: usize,
    /// Accounts that wait for approval.
    pub(in crate::portal) waiting: usize,
    /// Accounts that are locked.
    pub(in crate::portal) locked: usize,
    /// Mails that failed for good.
    pub(in crate::portal) failed_mails: usize,
}

impl Portal {
    pub(super) async fn overview_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        match self.overview().await {
            Ok(overview) => self.renderer.overview(context, user, &overview),
            Err(refusal) => self.renderer.refuse_visit(context, &refusal),
        }
    }

    async fn overview(&self) -> Result<Overview, Refusal> {
        let inspection = &self.services.admin_queries;
        let waiting = inspection.waiting().await;
        let locks = inspection.locks().await;
        let failed_mails = self.services.failed_mails.count().await;
        Ok(Overview {
            sessions: self.services.sessions.list(None).len(),
            waiting: waiting.map_err(|error| unavailable(error.to_string()))?,
            locked: locks
                .map_err(|error| unavailable(error.to_string()))?
                .accounts
                .len(),
            failed_mails: failed_mails.map_err(|error| unavailable(error.to_string()))?,
        })
    }
}

impl PageRenderer {
    pub(in crate::portal) fn overview(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        overview: &Overview,
    ) -> Response<Bytes> {
        if context.wants == ResponseFormat::Json {
            return self.json(context, StatusCode::OK, overview);
        }
        let place = AREA.at(PATH);
        self.member_page(
            context,
            user,
            place,
            StatusCode::OK,
            "admin-overview.html",
            overview,
        )
    }
}
