//! `/.auth/logout`.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::login::unavailable;
use super::site::Site;
use super::visit::{Visit, Wants};
use crate::model::Principal;
use crate::refusal::Refusal;
use crate::services::Presented;

#[derive(Serialize)]
struct LogoutView<'a> {
    who: Option<&'a str>,
}

impl Site {
    pub(super) fn logout_page(&self, visit: &Visit<'_>, principal: Option<&Principal>) -> Response<Bytes> {
        let view = LogoutView {
            who: principal.map(|principal| principal.email.as_str()),
        };
        self.page(visit, StatusCode::OK, "logout.html", &view)
    }
}

impl Portal {
    /// Ends the session that came with the request, if one did, and clears the cookie either way.
    pub(super) async fn log_out(&self, visit: &Visit<'_>) -> Response<Bytes> {
        let cleared = match self.end_session(visit).await {
            Ok(cleared) => cleared,
            Err(refusal) => return self.site.refuse_visit(visit, &refusal),
        };
        let mut response = match visit.wants {
            Wants::Html => self.site.see_other(visit, "/.auth/login"),
            Wants::Json => self.site.nothing(visit),
        };
        response.headers_mut().append(SET_COOKIE, cleared);
        response
    }

    /// Ends the session that came with the request, if one did; the cookie that takes its cookie's place.
    pub(super) async fn end_session(&self, visit: &Visit<'_>) -> Result<HeaderValue, Refusal> {
        let services = &self.services;
        if let Presented::One(digest) = services.session_cookie.presented(visit.head.headers)
            && let Some(session) = services.sessions.peek(&digest)
        {
            let ended = services.sign_in.sign_out(&session, &visit.origin()).await;
            ended.map_err(|error| unavailable(error.to_string()))?;
        }
        Ok(services.session_cookie.clear())
    }
}
