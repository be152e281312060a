//! `/.auth/logout`: signs out.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use serde::Serialize;

use super::forms::Fields;
use super::page_context::{PageContext, PageResult, unavailable};
use super::request_context::RequestContext;
use super::return_to::ReturnTo;
use super::security_headers;
use crate::model::Principal;
use crate::refusal::Refusal;
use crate::route::Page;
use crate::services::{PresentedCookie, Services};

#[derive(Serialize)]
struct LogoutView<'a> {
    who: Option<&'a str>,
    /// Where signing out leads, if the request says so.
    rd: Option<&'a str>,
}

pub(super) fn get(cx: &PageContext<'_>) -> Response<Bytes> {
    page(cx, cx.visitor.principal)
}

pub(super) fn page(cx: &RequestContext<'_>, principal: Option<&Principal>) -> Response<Bytes> {
    let rd = after_logout(cx, &cx.parameter("rd"));
    let view = LogoutView {
        who: principal.map(|principal| principal.email.as_str()),
        rd: rd.as_ref().map(ReturnTo::as_str),
    };
    cx.page(StatusCode::OK, "logout.html", &view)
}

/// Where signing out leads, by the rules of signing in; `None` if the request does not say.
fn after_logout(cx: &RequestContext<'_>, rd: &str) -> Option<ReturnTo> {
    (!rd.is_empty()).then(|| cx.return_to(rd))
}

/// Fields: `rd`, else the parameter. Ends the session of the request, if there is one, and clears the cookie
/// either way.
pub(super) async fn post(cx: &PageContext<'_>, fields: &Fields) -> PageResult {
    end_session(cx).await?;
    let rd = match fields.text("rd") {
        "" => after_logout(cx, &cx.parameter("rd")),
        rd => after_logout(cx, rd),
    };
    let to = rd.as_ref().map_or(Page::Login.path(), ReturnTo::as_str);
    let mut response = cx.nothing_or_see_other(to);
    clear_browser(cx.services, &mut response);
    Ok(response)
}

/// Ends the session of the request, if there is one.
pub(super) async fn end_session(cx: &PageContext<'_>) -> Result<(), Refusal> {
    let services = cx.services;
    let PresentedCookie::One(digest) = services.cookies.presented_session(cx.head.headers) else {
        return Ok(());
    };
    if let Some(session) = services.sessions.peek(&digest) {
        let ended = services.sign_in.sign_out(&session, &cx.origin()).await;
        return ended.map_err(|error| unavailable(error.to_string()));
    }
    // Ended before, but perhaps not in the store.
    let settled = services.sessions.settle(&digest).await;
    settled.map_err(|error| unavailable(error.to_string()))
}

/// Makes the browser drop the cookie and its cache.
pub(super) fn clear_browser(services: &Services, response: &mut Response<Bytes>) {
    let headers = response.headers_mut();
    headers.append(SET_COOKIE, services.cookies.clear_session());
    security_headers::clear_cache(headers);
}
