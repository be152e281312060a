//! `/.auth/logout`.

use bytes::Bytes;
use http::header::{HeaderName, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::forms::Fields;
use super::login::unavailable;
use super::renderer::PageRenderer;
use super::request_context::{RequestContext, ResponseFormat};
use super::return_to::ReturnTo;
use crate::model::Principal;
use crate::refusal::Refusal;
use crate::services::PresentedCookie;

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

impl PageRenderer {
    pub(super) fn logout_page(
        &self,
        context: &RequestContext<'_>,
        principal: Option<&Principal>,
    ) -> Response<Bytes> {
        let rd = self.after_logout(context, &context.parameter("rd"));
        let view = LogoutView {
            who: principal.map(|principal| principal.email.as_str()),
            rd: rd.as_ref().map(ReturnTo::as_str),
        };
        self.page(context, StatusCode::OK, "logout.html", &view)
    }

    /// Where signing out leads, by the same rules as signing in; `None` if nothing was asked for.
    fn after_logout(&self, context: &RequestContext<'_>, rd: &str) -> Option<ReturnTo> {
        (!rd.is_empty()).then(|| self.return_to(context, rd))
    }
}

impl Portal {
    /// `rd`, of the form or else of the address. Ends the session that came with the request, if one did, and clears the
    /// cookie either way.
    pub(super) async fn log_out(&self, context: &RequestContext<'_>, fields: &Fields) -> Response<Bytes> {
        if let Err(refusal) = self.end_session(context).await {
            return self.renderer.refuse_visit(context, &refusal);
        }
        let rd = match fields.text("rd") {
            "" => self.renderer.after_logout(context, &context.parameter("rd")),
            rd => self.renderer.after_logout(context, rd),
        };
        let mut response = match context.wants {
            ResponseFormat::Html => {
                let to = rd.as_ref().map_or("/.auth/login", ReturnTo::as_str);
                self.renderer.see_other(context, to)
            }
            ResponseFormat::Json => self.renderer.nothing(context),
        };
        self.clear_browser(&mut response);
        response
    }

    /// Ends the session that came with the request, if one did.
    pub(super) async fn end_session(&self, context: &RequestContext<'_>) -> Result<(), Refusal> {
        let services = &self.services;
        let PresentedCookie::One(digest) = services.session_cookie.presented(context.head.headers) else {
            return Ok(());
        };
        if let Some(session) = services.sessions.peek(&digest) {
            let ended = services.sign_in.sign_out(&session, &context.origin()).await;
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
