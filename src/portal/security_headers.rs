//! Security headers, which restrict what browsers do with a response (S25, S32).

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

use super::PortalError;
use super::return_to::Hosts;
use crate::request::RequestHead;
use crate::route::Page;

const NO_SNIFFING: (HeaderName, HeaderValue) = (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// The content security policy of assets: an image may be opened as a document.
const ASSET_POLICY: (HeaderName, HeaderValue) = (
    CONTENT_SECURITY_POLICY,
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox"),
);

/// Clears the browser's cache, so that the next user of the browser cannot see pages. Cookies and storage
/// stay, since they are the applications' too.
const CLEAR_CACHE: (HeaderName, HeaderValue) = (
    HeaderName::from_static("clear-site-data"),
    HeaderValue::from_static("\"cache\""),
);

/// Sets the headers of all responses but assets.
pub(super) fn set(headers: &mut HeaderMap, head: &RequestHead<'_>) {
    let is_for_token = Page::at(head.path).is_some_and(Page::carries_token)
        || head.query.is_some_and(|query| query.contains("invitation"));
    let referrer = if is_for_token {
        "no-referrer"
    } else {
        "same-origin"
    };
    headers.extend([
        NO_SNIFFING,
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (VARY, HeaderValue::from_static("Accept, Accept-Language, Cookie")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("permissions-policy"),
            HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
        ),
        (REFERRER_POLICY, HeaderValue::from_static(referrer)),
    ]);
}

pub(super) fn set_for_asset(headers: &mut HeaderMap) {
    headers.extend([NO_SNIFFING, ASSET_POLICY]);
}

/// Clears the browser's cache.
pub(super) fn clear_cache(headers: &mut HeaderMap) {
    headers.extend([CLEAR_CACHE]);
}

/// The content security policy of pages. Browsers apply `form-action` also to the redirects after a form, so
/// it contains all configured hosts.
pub(super) fn page_policy(hosts: &Hosts) -> Result<HeaderValue, PortalError> {
    let mut policy = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
        .to_owned();
    for origin in hosts.origins() {
        policy.push(' ');
        policy.push_str(&origin);
    }
    HeaderValue::from_str(&policy).map_err(|error| PortalError::Template(error.to_string()))
}
