//! What the login page says was done just before, by somebody who is led there without being signed in.
//!
//! A cookie names it, so that the address stays what it is; the page shows it once. It names one of a fixed set: whatever
//! else a cookie of this name says is shown to nobody.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderValue, Response};

use super::renderer::PageRenderer;
use super::request_context::{RequestContext, cookie};

/// How long the cookie lasts, in seconds, if no login page is opened.
const LASTS: u32 = 300;

/// Something that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlashMessage {
    PasswordChanged,
    EmailChanged,
}

impl FlashMessage {
    const ALL: [Self; 2] = [Self::PasswordChanged, Self::EmailChanged];

    fn name(self) -> &'static str {
        match self {
            Self::PasswordChanged => "password-changed",
            Self::EmailChanged => "email-changed",
        }
    }

    /// The key of its text.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::PasswordChanged => "login.password-changed",
            Self::EmailChanged => "login.email-changed",
        }
    }
}

/// Has the next login page say it.
pub(super) fn leave(renderer: &PageRenderer, response: &mut Response<Bytes>, flash: FlashMessage) {
    set(renderer, response, flash.name(), LASTS);
}

/// What the login page is to say.
pub(super) fn left(request: &RequestContext<'_>) -> Option<FlashMessage> {
    let named = cookie(request.head.headers, &request.renderer.notice_cookie)?;
    FlashMessage::ALL.into_iter().find(|flash| flash.name() == named)
}

/// It was said.
pub(super) fn clear(renderer: &PageRenderer, response: &mut Response<Bytes>) {
    set(renderer, response, "", 0);
}

fn set(renderer: &PageRenderer, response: &mut Response<Bytes>, value: &str, max_age: u32) {
    let cookie = format!(
        "{}={value}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Lax",
        renderer.notice_cookie
    );
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}
