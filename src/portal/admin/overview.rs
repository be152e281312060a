//! `/.auth/admin`: an overview in numbers.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::place;
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::signed_in::SignedInRequest;
use crate::route::AdminPage;

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "counts end in `_count` in JSON")]
pub(in crate::portal) struct Overview {
    /// Active sessions.
    pub(in crate::portal) session_count: usize,
    /// Accounts that lack only approval.
    pub(in crate::portal) waiting_count: usize,
    /// Locked accounts, at most 200.
    pub(in crate::portal) locked_count: usize,
    /// Failed mails among the 1000 oldest in the queue.
    pub(in crate::portal) failed_mail_count: usize,
}

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let (queries, services) = (&cx.services.admin_queries, cx.services);
    let overview = Overview {
        session_count: services.sessions.count(),
        waiting_count: queries.waiting().await?,
        locked_count: queries.locks().await?.accounts.len(),
        failed_mail_count: services.failed_mails.count().await?,
    };
    Ok(page(cx, &overview))
}

pub(in crate::portal) fn page(cx: &SignedInRequest<'_>, overview: &Overview) -> Response<Bytes> {
    if cx.wants_json() {
        return cx.json(StatusCode::OK, overview);
    }
    let place = place(AdminPage::Overview);
    cx.page_with_nav(place, StatusCode::OK, "admin-overview.html", overview)
}
