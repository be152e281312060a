//! `/.auth/logout`.

use bytes::Bytes;
use http::header::{HeaderName, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::forms::Fields;
use super::login::unavailable;
use super::return_to::ReturnTo;
use super::site::Site;
use super::visit::{Visit, Wants};
use crate::model::Principal;
use crate::refusal::Refusal;
use crate::services::Presented;

#[derive(Serialize)]
struct LogoutView<'a> {
    who: Option<&'a str>,
    /// Where it leads, if that was asked for.
    rd: Option<&'a str>,
}

/// What a browser keeps of the pages that were seen is not the next person's to look at. Cookies and storage stay: they are
/// the applications' too.
const CLEAR_SITE_DATA: (HeaderName, HeaderValue) = (
    HeaderName::from_static("clear-site-data"),
    HeaderValue::from_static("\"cache\""),
);

impl Site {
    pub(super) fn logout_page(&self, visit: &Visit<'_>, principal: Option<&Principal>) -> Response<Bytes> {
        let rd = self.after_logout(visit, &visit.parameter("rd"));
        let view = LogoutView {
            who: principal.map(|principal| principal.email.as_str()),
            rd: rd.as_ref().map(ReturnTo::as_str),
        };
        self.page(visit, StatusCode::OK, "logout.html", &view)
    }

    /// Where signing out leads, by the same rules as signing in; `None` if nothing was asked for.
    fn after_logout(&self, visit: &Visit<'_>, rd: &str) -> Option<ReturnTo> {
        (!rd.is_empty()).then(|| self.return_to(visit, rd))
    }
}

impl Portal {
    /// `rd`, of the form or else of the address. Ends the session that came with the request, if one did, and clears the
    /// cookie either way.
    pub(super) async fn log_out(&self, visit: &Visit<'_>, fields: &Fields) -> Response<Bytes> {
        if let Err(refusal) = self.end_session(visit).await {
            return self.site.refuse_visit(visit, &refusal);
        }
        let rd = match fields.text("rd") {
            "" => self.site.after_logout(visit, &visit.parameter("rd")),
            rd => self.site.after_logout(visit, rd),
        };
        let mut response = match visit.wants {
            Wants::Html => {
                let to = rd.as_ref().map_or("/.auth/login", ReturnTo::as_str);
                self.site.see_other(visit, to)
            }
            Wants::Json => self.site.nothing(visit),
        };
        self.clear_browser(&mut response);
        response
    }

    /// Ends the session that came with the request, if one did.
    pub(super) async fn end_session(&self, visit: &Visit<'_>) -> Result<(), Refusal> {
        let services = &self.services;
        let Presented::One(digest) = services.session_cookie.presented(visit.head.headers) else {
            return Ok(());
        };
        if let Some(session) = services.sessions.peek(&digest) {
            let ended = services.sign_in.sign_out(&session, &visit.origin()).await;
            return ended.map_err(|error| unavailable(error.to_string()));
        }
        // Signed out before, and perhaps the store could not be told.
        let settled = services.sessions.settle(&digest).await;
        settled.map_err(|error| unavailable(error.to_string()))
    }

    /// Has the browser forget who was signed in, and what it was shown.
    pub(super) fn clear_browser(&self, response: &mut Response<Bytes>) {
        let headers = response.headers_mut();
        headers.append(SET_COOKIE, self.services.session_cookie.clear());
        let (name, value) = CLEAR_SITE_DATA;
        headers.insert(name, value);
    }
}
