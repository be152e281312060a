//! What the login page says was done just before, by somebody who is led there without being signed in.
//!
//! A cookie names it, so that the address stays what it is; the page shows it once. It names one of a fixed set: whatever
//! else a cookie of this name says is shown to nobody.

use bytes::Bytes;
use http::Response;
use http::header::SET_COOKIE;

use super::renderer::PageRenderer;
use super::request_context::{RequestContext, cookie};

/// How long the cookie lasts, in seconds, if no login page is opened.
const LASTS: u64 = 300;

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
    let cookie = renderer.cookies.set_notice(flash.name(), LASTS);
    response.headers_mut().append(SET_COOKIE, cookie);
}

/// What the login page is to say.
pub(super) fn left(request: &RequestContext<'_>) -> Option<FlashMessage> {
    let named = cookie(request.head.headers, request.renderer.cookies.notice_name())?;
    FlashMessage::ALL.into_iter().find(|flash| flash.name() == named)
}

/// It was said.
pub(super) fn clear(renderer: &PageRenderer, response: &mut Response<Bytes>) {
    let cookie = renderer.cookies.set_notice("", 0);
    response.headers_mut().append(SET_COOKIE, cookie);
}
