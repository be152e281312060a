//! `/.auth/me`: the signed-in user, as JSON.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Visitor;
use super::page_context::PageContext;
use super::request_context::{RequestContext, ResponseFormat};
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
use crate::services::ActiveSession;

/// A user, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct UserInfo<'a> {
    id: String,
    username: &'a str,
    email: &'a str,
    email_verified: bool,
    name: Option<&'a str>,
    groups: &'a BTreeSet<String>,
    method: &'static str,
    expires_at: String,
}

impl<'a> UserInfo<'a> {
    /// `session` is the user's, if one authenticates the request.
    pub(super) fn of(principal: &'a Principal, session: Option<&ActiveSession>) -> Self {
        let expires_at = session.map_or(principal.expires_at, ActiveSession::expires_at);
        Self {
            id: principal.account.to_string(),
            username: principal.username.as_str(),
            email: principal.email.as_str(),
            email_verified: principal.email_verified,
            name: Some(principal.name.as_str()).filter(|name| !name.is_empty()),
            groups: &principal.groups,
            method: principal.method.as_str(),
            expires_at: expires_at.to_string(),
        }
    }
}

impl<'a> Visitor<'a> {
    /// The user, if signed in.
    pub(super) fn me(self) -> Option<UserInfo<'a>> {
        self.principal
            .map(|principal| UserInfo::of(principal, self.session))
    }
}

pub(super) fn get(cx: &PageContext<'_>) -> Response<Bytes> {
    if let Some(me) = cx.visitor.me() {
        return cx.json(StatusCode::OK, &me);
    }
    let request = RequestContext {
        wants: ResponseFormat::Json,
        ..cx.request
    };
    request.refuse(&Refusal::new(Problem::NotAuthenticated))
}
