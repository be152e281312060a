//! `/.auth/admin/locks`: who is locked out for now.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::place;
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::signed_in::SignedInRequest;
use crate::route::AdminPage;
use crate::services::LocksInForce;

#[derive(Serialize)]
struct LocksDocument<'a> {
    accounts: Vec<LockedAccount<'a>>,
    access_keys: Vec<LockedKey<'a>>,
    unknown_names: usize,
}

#[derive(Serialize)]
struct LockedAccount<'a> {
    id: String,
    email: &'a str,
    locked_for_seconds: u64,
}

#[derive(Serialize)]
struct LockedKey<'a> {
    access_key: &'a str,
    locked_for_seconds: u64,
}

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    Ok(page(cx, &cx.services.admin_queries.locks().await?))
}

pub(in crate::portal) fn page(cx: &SignedInRequest<'_>, locks: &LocksInForce) -> Response<Bytes> {
    let accounts = locks.accounts.iter().map(|(account, left)| LockedAccount {
        id: account.id.to_string(),
        email: account.email.as_str(),
        locked_for_seconds: left.as_secs().max(1),
    });
    let access_keys = locks.access_keys.iter().map(|(key, left)| LockedKey {
        access_key: key.as_str(),
        locked_for_seconds: left.as_secs().max(1),
    });
    let view = LocksDocument {
        accounts: accounts.collect(),
        access_keys: access_keys.collect(),
        unknown_names: locks.unknown,
    };
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &view);
    }
    let place = place(AdminPage::Locks);
    cx.page_with_nav(place, StatusCode::OK, "admin-locks.html", &view)
}
