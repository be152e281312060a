//! Adds a request id and an access-log line to the HTTP/1 responses that hyper sends by itself: 400 to a head
//! that it cannot parse, 431 to one that is too large. HTTP/2 ones stay as they are: their heads are
//! compressed, and finding them would mean parsing every outgoing frame.

use std::sync::Arc;

use http::StatusCode;
use http::header::DATE;

use super::access_log::RequestTimer;
use super::connection_info::ConnectionInfo;
use super::request_history::HistoryEntry;
use super::{Gateway, GatewayHandle};
use crate::request::{RequestId, X_REQUEST_ID};

/// Rewrites hyper's own error responses as they are written.
#[derive(Debug)]
pub(super) struct ErrorTagger {
    current: Arc<GatewayHandle>,
    connection: Arc<ConnectionInfo>,
}

/// A rewritten response that is being written.
#[derive(Debug)]
pub(super) struct TaggedResponse {
    answer: Vec<u8>,
    sent: usize,
    stands_for: usize,
}

impl ErrorTagger {
    pub(super) fn new(current: Arc<GatewayHandle>, connection: Arc<ConnectionInfo>) -> Self {
        Self { current, connection }
    }

    /// Returns the response with request id and date, if `bytes` are one of hyper's own.
    pub(super) fn tag(&self, bytes: &[u8]) -> Option<TaggedResponse> {
        let status = nameless(bytes)?;
        let id = self.current.load().unreadable(&self.connection, status);
        let mut answer = bytes[..bytes.len() - END.len()].to_vec();
        if let Some(date) = self.current.load().clock.http_date() {
            answer.extend_from_slice(format!("\r\n{DATE}: {date}").as_bytes());
        }
        answer.extend_from_slice(format!("\r\n{X_REQUEST_ID}: {id}\r\n\r\n").as_bytes());
        Some(TaggedResponse {
            answer,
            sent: 0,
            stands_for: bytes.len(),
        })
    }
}

impl TaggedResponse {
    /// Returns what is still to be written.
    pub(super) fn rest(&self) -> &[u8] {
        self.answer.get(self.sent..).unwrap_or_default()
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    /// Returns how many of hyper's bytes it replaces.
    pub(super) fn stands_for(&self) -> usize {
        self.stands_for
    }
}

const END: &[u8] = b"\r\n\r\n";

/// Returns the status, if `bytes` are a 4xx response without content and without a request id.
fn nameless(bytes: &[u8]) -> Option<StatusCode> {
    let is_head = memchr::memmem::find(bytes, END)? == bytes.len() - END.len();
    let status = StatusCode::from_bytes(bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()?;
    (is_head && status.is_client_error() && !has_name(bytes)).then_some(status)
}

fn has_name(head: &[u8]) -> bool {
    let mut lines = head.split(|&b| b == b'\n');
    lines.any(|line| {
        let name = line.get(..X_REQUEST_ID.as_str().len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(X_REQUEST_ID.as_str().as_bytes()))
    })
}

impl Gateway {
    /// Assigns a request id to a head that hyper could not parse, counts and logs it.
    fn unreadable(&self, connection: &ConnectionInfo, status: StatusCode) -> RequestId {
        let id = self.ids.next();
        self.metrics.responded(status.as_u16());
        let begun = RequestTimer::now(&self.clock);
        if let Some(log) = &self.access_log {
            log.note_unreadable(&connection.peer, id, begun, status);
        }
        self.history.note(HistoryEntry::unreadable(
            id,
            begun.at(),
            connection.peer.address,
            status,
        ));
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hypers_own_refusals_have_no_request_id() {
        for (bytes, status) in [
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", Some(400)),
            ("HTTP/1.1 431 Too Large\r\ndate: now\r\n\r\n", Some(431)),
            ("HTTP/1.1 400 Bad Request\r\nX-Request-Id: 1\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\n\r\n", None),
            (
                "HTTP/1.1 400 Bad Request\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n",
                None,
            ),
            ("HTTP/1.1 400 Bad Request\r\n", None),
            ("HTTP/1.1 4", None),
            ("hello", None),
            ("", None),
        ] {
            let found = nameless(bytes.as_bytes()).map(|status| status.as_u16());
            assert_eq!(found, status, "{bytes:?}");
        }
    }
}
