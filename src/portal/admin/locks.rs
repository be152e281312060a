//! `/.auth/admin/locks`: who is locked out for now.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::AREA;
use crate::portal::Portal;
use crate::portal::login::unavailable;
use crate::portal::member::Member;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::services::LocksInForce;

pub(super) const PATH: &str = "/.auth/admin/locks";

#[derive(Serialize)]
struct Locks<'a> {
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
    pub(super) async fn locks_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        match self.services.inspection.locks().await {
            Ok(locks) => self.site.locks(visit, member, &locks),
            Err(error) => self.site.refuse_visit(visit, &unavailable(error.to_string())),
        }
    }
}

impl Site {
    pub(in crate::portal) fn locks(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
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
        let view = Locks {
            accounts: accounts.collect(),
            access_keys: access_keys.collect(),
            unknown_names: locks.unknown,
        };
        if visit.wants == Wants::Json {
            return self.json(visit, StatusCode::OK, &view);
        }
        self.member_page(
            visit,
            member,
            AREA.at(PATH),
            StatusCode::OK,
            "admin-locks.html",
            &view,
        )
    }
}
