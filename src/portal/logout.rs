//! `/.auth/logout`.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::login::unavailable;
use super::site::Site;
use super::visit::{Visit, Wants};
use crate::model::Principal;
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
        let services = &self.services;
        if let Presented::One(digest) = services.session_cookie.presented(visit.head.headers)
            && let Some(session) = services.sessions.peek(&digest)
            && let Err(error) = services.sign_in.sign_out(&session, &visit.origin()).await
        {
            return self.site.refuse_visit(visit, &unavailable(error.to_string()));
        }
        let mut response = match visit.wants {
            Wants::Html => self.site.see_other(visit, "/.auth/login"),
            Wants::Json => self.site.nothing(visit),
        };
        response
            .headers_mut()
            .append(SET_COOKIE, services.session_cookie.clear());
        response
    }
}
