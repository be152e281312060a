//! `/.auth/admin/locks`: who is locked out for now.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::AREA;
use crate::portal::Portal;
use crate::portal::login::unavailable;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::signed_in::SignedInUser;
use crate::services::LocksInForce;

pub(super) const PATH: &str = "/.auth/admin/locks";

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

impl Portal {
    pub(super) async fn locks_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        match self.services.admin_queries.locks().await {
            Ok(locks) => self.renderer.locks(context, user, &locks),
            Err(error) => self
                .renderer
                .refuse_visit(context, &unavailable(error.to_string())),
        }
    }
}

impl PageRenderer {
    pub(in crate::portal) fn locks(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        locks: &LocksInForce,
    ) -> Response<Bytes> {
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
        if context.wants == ResponseFormat::Json {
            return self.json(context, StatusCode::OK, &view);
        }
        self.member_page(
            context,
            user,
            AREA.at(PATH),
            StatusCode::OK,
            "admin-locks.html",
            &view,
        )
    }
}
