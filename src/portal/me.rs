//! `/.auth/me`: who somebody is, for programs.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::site::Site;
use super::visit::{Visit, Wants};
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};

/// Somebody, as programs read it.
#[derive(Debug, Serialize)]
pub(super) struct Me<'a> {
    id: String,
    username: &'a str,
    email: &'a str,
    email_verified: bool,
    name: &'a str,
    groups: &'a BTreeSet<String>,
    method: &'static str,
    expires_at: String,
}

impl<'a> Me<'a> {
    pub(super) fn of(principal: &'a Principal) -> Self {
        Self {
            id: principal.account.to_string(),
            username: principal.username.as_str(),
            email: principal.email.as_str(),
            email_verified: principal.email_verified,
            name: &principal.name,
            groups: &principal.groups,
            method: principal.method.as_str(),
            expires_at: principal.expires_at.to_string(),
        }
    }
}

impl Site {
    pub(super) fn me(&self, visit: &Visit<'_>, principal: Option<&Principal>) -> Response<Bytes> {
        if let Some(principal) = principal {
            return self.json(visit, StatusCode::OK, &Me::of(principal));
        }
        let visit = Visit {
            wants: Wants::Json,
            ..*visit
        };
        self.refuse_visit(&visit, &Refusal::new(Problem::NotAuthenticated))
    }
}
