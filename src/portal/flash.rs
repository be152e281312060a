//! Flash messages: what was done just before, on the next login page.
//!
//! A cookie names the message, which is shown once. Only messages of a fixed set are shown, whatever the
//! cookie says.

use bytes::Bytes;
use http::Response;
use http::header::SET_COOKIE;

use super::renderer::PageRenderer;
use super::request_context::{RequestContext, cookie};

/// The lifetime of the cookie, in seconds.
const LASTS: u64 = 300;

/// A message about what was done.
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

/// Sets the message for the next login page.
pub(super) fn leave(renderer: &PageRenderer, response: &mut Response<Bytes>, flash: FlashMessage) {
    let cookie = renderer.cookies.set_notice(flash.name(), LASTS);
    response.headers_mut().append(SET_COOKIE, cookie);
}

/// Returns the message to show.
pub(super) fn left(request: &RequestContext<'_>) -> Option<FlashMessage> {
    let named = cookie(request.head.headers, request.renderer.cookies.notice_name())?;
    FlashMessage::ALL.into_iter().find(|flash| flash.name() == named)
}

/// Removes the message.
pub(super) fn clear(renderer: &PageRenderer, response: &mut Response<Bytes>) {
    let cookie = renderer.cookies.set_notice("", 0);
    response.headers_mut().append(SET_COOKIE, cookie);
}
