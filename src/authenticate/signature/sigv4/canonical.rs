//! The canonical request: what is signed.

use http::HeaderValue;
use sha2::{Digest, Sha256};

use super::Claim;
use super::payload::Line;
use super::query::{self, QueryForm, encode};
use crate::authenticate::signature::Message;

/// One reading of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Canonical {
    pub(super) path: PathForm,
    pub(super) query: QueryForm,
}

/// What a client signs for the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathForm {
    AsSent,
    /// Every byte that is not unreserved or `/` percent-encoded, `%` too.
    EncodedOnceMore,
}

/// Takes bytes in pieces, so that a canonical request is hashed and never made.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Sha256 {
    fn put(&mut self, bytes: &[u8]) {
        Digest::update(self, bytes);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Canonical {
    /// SHA-256 of the canonical request.
    pub(super) fn hash(self, claim: &Claim<'_>, message: &Message<'_>, payload: &Line) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.write(&mut hash, claim, message, payload);
        hash.finalize().into()
    }

    pub(super) fn write(
        self,
        sink: &mut impl Sink,
        claim: &Claim<'_>,
        message: &Message<'_>,
        payload: &Line,
    ) {
        sink.put(message.method.as_bytes());
        sink.put(b"\n");
        match self.path {
            PathForm::AsSent => sink.put(message.path.as_bytes()),
            PathForm::EncodedOnceMore => encode(sink, message.path.as_bytes(), b"/"),
        }
        sink.put(b"\n");
        query::write(sink, message.query.unwrap_or_default(), self.query);
        sink.put(b"\n");
        for name in claim.signed_headers.split(';') {
            sink.put(name.as_bytes());
            sink.put(b":");
            if name == "host" {
                sink.put(message.authority.as_bytes());
            } else {
                write_values(sink, message.headers.get_all(name).iter());
            }
            sink.put(b"\n");
        }
        sink.put(b"\n");
        sink.put(claim.signed_headers.as_bytes());
        sink.put(b"\n");
        sink.put(payload.as_bytes());
    }
}

/// The values of a header: without spaces around them, each run of spaces within them one space, divided by commas.
fn write_values<'v>(sink: &mut impl Sink, values: impl Iterator<Item = &'v HeaderValue>) {
    for (index, value) in values.enumerate() {
        if index > 0 {
            sink.put(b",");
        }
        let words = value
            .as_bytes()
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        for (index, word) in words.enumerate() {
            if index > 0 {
                sink.put(b" ");
            }
            sink.put(word);
        }
    }
}
