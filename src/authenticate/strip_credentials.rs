//! Removes credentials for the gateway from forwarded requests (S39).

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};

use super::access_key_scheme::{ProofLocation, SignedRequest};
use super::credentials::{is_secret, is_signed_query};
use super::signature::{rfc9421, sigv4};
use crate::secret::Secret;

/// Headers of an AWS signature; other `x-amz-` headers direct the upstream and stay.
const OF_THE_SIGNATURE: [&str; 5] = [
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-security-token",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
];

impl SignedRequest {
    /// Removes the proof from the headers for the upstream, and adapts the fields that describe the body.
    pub fn strip_from(&self, headers: &mut HeaderMap) {
        match self.form {
            ProofLocation::Authorization => {
                headers.remove(AUTHORIZATION);
            }
            ProofLocation::Query => {}
            ProofLocation::Message => {
                headers.remove(rfc9421::SIGNATURE_INPUT);
                headers.remove(rfc9421::SIGNATURE);
            }
        }
        for name in OF_THE_SIGNATURE {
            headers.remove(name);
        }
        if let Some(length) = self.chunks {
            headers.remove(CONTENT_LENGTH);
            if let Some(length) = length {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            unwrap_encoding(headers);
        }
    }

    /// Returns the target without the signature if it is in the query; `None` otherwise.
    pub fn target(&self, sent: &PathAndQuery) -> Option<PathAndQuery> {
        let query = sent.query().filter(|_| self.form == ProofLocation::Query)?;
        without_signature(sent, query)
    }
}

/// Returns the target without a signature by an access key, also where the request is not authenticated.
pub(super) fn unsigned_target(sent: &PathAndQuery) -> Option<PathAndQuery> {
    let query = sent.query().filter(|query| is_signed_query(query))?;
    without_signature(sent, query)
}

fn without_signature(sent: &PathAndQuery, query: &str) -> Option<PathAndQuery> {
    let target = match sigv4::without_signature(query) {
        Some(rest) => format!("{}?{rest}", sent.path()),
        None => sent.path().to_owned(),
    };
    target.parse().ok()
}

/// Removes secrets of access keys, also where the request is not authenticated.
pub(super) fn withhold_secrets(headers: &mut HeaderMap) {
    let values: Vec<&[u8]> = headers
        .get_all(AUTHORIZATION)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    // Several fields are read as one list (RFC 9110, section 5.3).
    let list = Secret::new(values.join(b", ".as_slice()));
    if is_secret(list.expose()) {
        headers.remove(AUTHORIZATION);
    }
}

/// Removes `aws-chunked` from `Content-Encoding`, since the forwarded body is decoded.
fn unwrap_encoding(headers: &mut HeaderMap) {
    let rest: Vec<&str> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    let rest = HeaderValue::from_str(&rest.join(", ")).ok();
    headers.remove(CONTENT_ENCODING);
    if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
        headers.insert(CONTENT_ENCODING, rest);
    }
}
