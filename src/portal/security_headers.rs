//! Headers by which a browser restricts what an answer may do, and who learns of it (S25, S32).

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

use super::PortalError;
use super::return_to::Hosts;
use crate::request::RequestHead;
use crate::route::Page;

/// A body is what its `Content-Type` says.
const NO_SNIFFING: (HeaderName, HeaderValue) = (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// The content security policy of an asset: an image may be a document of its own.
const ASSET_POLICY: (HeaderName, HeaderValue) = (
    CONTENT_SECURITY_POLICY,
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox"),
);

/// What a browser keeps of the pages that were seen is not the next person's to look at. Cookies and storage stay: they are
/// the applications' too.
const CLEAR_CACHE: (HeaderName, HeaderValue) = (
    HeaderName::from_static("clear-site-data"),
    HeaderValue::from_static("\"cache\""),
);

/// Those of every answer that is not an asset.
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

/// Those of an asset.
pub(super) fn set_for_asset(headers: &mut HeaderMap) {
    headers.extend([NO_SNIFFING, ASSET_POLICY]);
}

/// Has the browser forget what it was shown.
pub(super) fn clear_cache(headers: &mut HeaderMap) {
    headers.extend([CLEAR_CACHE]);
}

/// The content security policy of every page. Browsers hold the redirects that follow a form against `form-action` too,
/// so all configured hosts are in it.
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
