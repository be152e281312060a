//! Refusals of gRPC calls: a status in a response that ends with its head ("Trailers-Only" of gRPC over HTTP/2). A client
//! that gets a page instead knows only that something is not gRPC.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::error_response::set_retry_after;
use super::request_context::RequestContext;
use super::security_headers;
use crate::refusal::Refusal;
use crate::request::RequestHead;
use crate::route::Page;

/// How the media type of a call begins; its format follows, and `-web` in calls of browsers.
const MEDIA_TYPE: &[u8] = b"application/grpc";

/// Characters that a message encodes, beside all that are not ASCII.
const MESSAGE_ESCAPES: &AsciiSet = &CONTROLS.add(b'%');

/// Whether a request is a gRPC call.
pub(super) fn is_call(head: &RequestHead<'_>) -> bool {
    let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let parts = kind.and_then(|kind| kind.split_at_checked(MEDIA_TYPE.len()));
    let is_of_grpc = parts.is_some_and(|(begins, rest)| {
        begins.eq_ignore_ascii_case(MEDIA_TYPE) && matches!(rest, [] | [b'+' | b'-' | b';' | b' ', ..])
    });
    *head.method == Method::POST && is_of_grpc && !head.path.starts_with(Page::PREFIX)
}

impl RequestContext<'_> {
    /// Refuses a call, in the content type in which it was made.
    pub(super) fn refuse_call(&self, refusal: &Refusal) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        response.extensions_mut().insert(refusal.problem);
        let headers = response.headers_mut();
        security_headers::set(headers, self.head);
        if let Some(kind) = self.head.headers.get(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, kind.clone());
        }
        headers.insert("grpc-status", status_of(refusal.problem.status()).into());
        let message = utf8_percent_encode(&self.detail(refusal), MESSAGE_ESCAPES).to_string();
        if let Ok(message) = HeaderValue::try_from(message) {
            headers.insert("grpc-message", message);
        }
        set_retry_after(&mut response, refusal.retry_after);
        response
    }
}

/// The status of a call whose response would have this status of HTTP (gRPC, "HTTP to gRPC Status Code Mapping").
fn status_of(status: StatusCode) -> u16 {
    match status {
        StatusCode::BAD_REQUEST => 13,
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        StatusCode::NOT_FOUND => 12,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => 14,
        _ => 2,
    }
}
