//! Compresses responses: those of routes that say so, and the gateway's own.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, RANGE};
use http::{HeaderMap, HeaderValue, Method, Version};
use http_body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Gateway;
use super::compressed_body::CompressedBody;
use super::handle::PendingResponse;
use super::response_body::BodySource;
use crate::compression::{
    ContentCoding, ContentEncoder, EncodedForms, is_compressible, is_transformable, mark_encoded,
    mark_negotiated, negotiate, renews_compressible, weaken_entity_tag,
};
use crate::config::Allow;
use crate::request::{RequestHead, require_same_origin};
use crate::route::Route;

/// KiB for the encoders of all responses under way. Without room for another a response is sent as it is.
const ROOM: usize = 64 << 10;

/// Bytes of a page that are compressed before other tasks have their turn.
const PIECE: usize = 64 << 10;

/// The memory for encoders.
#[derive(Clone, Debug)]
pub struct CompressionBudget(Arc<Semaphore>);

impl Default for CompressionBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

impl CompressionBudget {
    /// Begins a stream; `None` if there is no room for it.
    fn encoder(&self, coding: ContentCoding) -> Option<(ContentEncoder, OwnedSemaphorePermit)> {
        let room = self.0.clone().try_acquire_many_owned(coding.memory()).ok()?;
        Some((ContentEncoder::new(coding).ok()?, room))
    }
}

impl Gateway {
    /// Compresses the response of a route's upstream, if the route says so. A part is asked for as it is, and of what does not
    /// have a length the end would not be told apart from a break in HTTP/1.0.
    pub(super) fn compress(
        &self,
        head: &RequestHead<'_>,
        version: Version,
        route: &Route,
        pending: &mut PendingResponse,
    ) {
        let BodySource::Upstream(body) = pending.response.body() else {
            return;
        };
        let is_empty = *head.method != Method::HEAD && body.is_end_stream();
        let (status, headers) = (pending.response.status(), pending.response.headers());
        let is_renewal = renews_compressible(status, headers);
        if !route.compresses()
            || head.headers.contains_key(RANGE)
            || !is_renewal && (is_empty || !is_compressible(status, headers, length(headers)))
        {
            return;
        }
        mark_negotiated(pending.response.headers_mut());
        if *route.allow() != Allow::Public && require_same_origin(head).is_err() {
            return;
        }
        let Some(coding) = accepted(head, version) else {
            return;
        };
        if is_renewal {
            return weaken_entity_tag(pending.response.headers_mut());
        }
        if *head.method == Method::HEAD {
            return mark_encoded(pending.response.headers_mut(), coding);
        }
        let Some((encoder, memory)) = self.compression.encoder(coding) else {
            return;
        };
        mark_encoded(pending.response.headers_mut(), coding);
        let body = std::mem::replace(pending.response.body_mut(), BodySource::Own(None));
        *pending.response.body_mut() = match body {
            BodySource::Upstream(body) => {
                BodySource::Compressed(Box::new(CompressedBody::new(body, encoder, memory)))
            }
            other => other,
        };
    }

    /// Compresses what the gateway answers itself, unless another site made the browser ask: only so could somebody put guesses
    /// beside what is on a page, again and again, and see by its size whether one is right (BREACH). What is secret on a page
    /// came with the request, or is another one in each response.
    pub(super) async fn compress_own(
        &self,
        head: &RequestHead<'_>,
        version: Version,
        pending: &mut PendingResponse,
    ) {
        let BodySource::Own(Some(content)) = pending.response.body() else {
            return;
        };
        let content = content.clone();
        let (status, headers) = (pending.response.status(), pending.response.headers());
        if head.headers.contains_key(RANGE) || !is_compressible(status, headers, Some(content.len() as u64)) {
            return;
        }
        mark_negotiated(pending.response.headers_mut());
        let forms = pending.response.extensions().get::<EncodedForms>().cloned();
        if forms.is_none() && require_same_origin(head).is_err() {
            return;
        }
        let Some(coding) = accepted(head, version) else {
            return;
        };
        let compressed = match forms {
            Some(forms) => forms.of(&content, coding),
            None => self.compress_all(content, coding).await,
        };
        if let Some(compressed) = compressed {
            mark_encoded(pending.response.headers_mut(), coding);
            *pending.response.body_mut() = BodySource::own(compressed);
        }
    }

    /// Compresses content piece by piece; `None` if there is no room for that.
    async fn compress_all(&self, mut content: Bytes, coding: ContentCoding) -> Option<Bytes> {
        let (mut encoder, _memory) = self.compression.encoder(coding)?;
        loop {
            let piece = content.split_to(content.len().min(PIECE));
            encoder.write(&piece).ok()?;
            if content.is_empty() {
                return encoder.finish().ok();
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Returns the coding that a client takes, if its response may have one.
fn accepted(head: &RequestHead<'_>, version: Version) -> Option<ContentCoding> {
    let is_possible = version >= Version::HTTP_11 && is_transformable(head.headers);
    negotiate(head.headers).filter(|_| is_possible)
}

fn length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(CONTENT_LENGTH).map(HeaderValue::to_str)?;
    length.ok()?.parse().ok()
}
