//! `/.auth/admin/groups`: the groups, with their members counted and the routes that name them.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::place;
use crate::api::{GroupList, GroupView};
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::response::with_query;
use crate::portal::signed_in::SignedInRequest;
use crate::route::AdminPage;
use crate::services::GroupSummary;

#[derive(Serialize)]
struct GroupsView {
    groups: Vec<GroupRow>,
    /// Whether routes name groups: where none does, groups are for applications.
    named: bool,
}

#[derive(Serialize)]
struct GroupRow {
    #[serde(flatten)]
    group: GroupView,
    /// The URL of its members.
    members: String,
}

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    Ok(page(cx, cx.services.admin_queries.groups().await?))
}

pub(in crate::portal) fn page(cx: &SignedInRequest<'_>, groups: Vec<GroupSummary>) -> Response<Bytes> {
    let list = GroupList::from(groups);
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &list);
    }
    let row = |group: GroupView| GroupRow {
        members: with_query(AdminPage::Accounts.path(), &[("group", &group.name)]),
        group,
    };
    let view = GroupsView {
        named: list.groups.iter().any(|group| !group.routes.is_empty()),
        groups: list.groups.into_iter().map(row).collect(),
    };
    cx.page_with_nav(
        place(AdminPage::Groups),
        StatusCode::OK,
        "admin-groups.html",
        &view,
    )
}
