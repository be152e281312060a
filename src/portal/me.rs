//! `/.auth/me`: who somebody is, for programs.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Visitor;
use super::site::Site;
use super::visit::{Visit, Wants};
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
use crate::services::LiveSession;

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
    /// `session` is the one that proves it, if one does.
    pub(super) fn of(principal: &'a Principal, session: Option<&LiveSession>) -> Self {
        let expires_at = session.map_or(principal.expires_at, LiveSession::expires_at);
        Self {
            id: principal.account.to_string(),
            username: principal.username.as_str(),
            email: principal.email.as_str(),
            email_verified: principal.email_verified,
            name: &principal.name,
            groups: &principal.groups,
            method: principal.method.as_str(),
            expires_at: expires_at.to_string(),
        }
    }
}

impl<'a> Visitor<'a> {
    /// Who they are, if they are signed in.
    pub(super) fn me(self) -> Option<Me<'a>> {
        self.principal.map(|principal| Me::of(principal, self.session))
    }
}

impl Site {
    pub(super) fn me(&self, visit: &Visit<'_>, visitor: Visitor<'_>) -> Response<Bytes> {
        if let Some(me) = visitor.me() {
            return self.json(visit, StatusCode::OK, &me);
        }
        let visit = Visit {
            wants: Wants::Json,
            ..*visit
        };
        self.refuse_visit(&visit, &Refusal::new(Problem::NotAuthenticated))
    }
}
