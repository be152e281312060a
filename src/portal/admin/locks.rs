//! `/.auth/admin/locks`: the locks in force.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::place;
use crate::api::LocksView;
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::signed_in::SignedInRequest;
use crate::route::AdminPage;
use crate::services::LocksInForce;

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    Ok(page(cx, cx.services.admin_queries.locks().await?))
}

pub(in crate::portal) fn page(cx: &SignedInRequest<'_>, locks: LocksInForce) -> Response<Bytes> {
    let view = LocksView::from(locks);
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &view);
    }
    let place = place(AdminPage::Locks);
    cx.page_with_nav(place, StatusCode::OK, "admin-locks.html", &view)
}
