//! AWS Signature Version 4, as its clients make it: in the `Authorization` header, in the query of a presigned URL, and
//! over the chunks of a body.
//!
//! What clients disagree about is tried in turn, and nothing else: the path as the service that is signed for has it, as
//! it was sent or encoded anew, percent-encoded once more, or without redundant slashes; the query encoded anew and sorted, sorted as sent, or as sent; the host
//! with or without the default port. Each of these is one reading of the same request, and a path of which some reading
//! is of another route never comes here. A session's token is a header like any other: there are no sessions here.

mod canonical;
mod chain;
mod chunks;
mod date;
mod header;
mod key;
mod payload;
mod presigned;
mod query;

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use super::{Message, Mismatch, SignatureError, mac};
use canonical::RequestReadings;
use chain::Chain;
use date::AmzDate;

pub use chunks::{Chunked, Chunks};
pub use key::SigningKey;
pub use payload::{Payload, SignedPayload};
pub use presigned::{is_presigned, presigned_key, without_signature};

/// The name of the scheme in `Authorization`, and of the algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How far the time of signing may be from now.
const WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// What a request claims: who signed which part of it, and when.
#[derive(Clone, Debug)]
pub struct SigV4Claim<'a> {
    form: SignatureLocation,
    /// Key, day, region, service and `aws4_request`, divided by `/`.
    credential: Cow<'a, str>,
    /// Names of headers in lower case, divided by `;`.
    signed_headers: Cow<'a, str>,
    signature: [u8; 32],
    date: AmzDate,
    payload: Payload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignatureLocation {
    Header,
    /// Valid for so long after the time of signing.
    Presigned(SignedDuration),
}

/// A signature that is right.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedSigV4 {
    /// What the signature says.
    pub signature: [u8; 32],
    /// When it is of no use any more.
    pub until: Timestamp,
}

impl SigV4Claim<'_> {
    /// The access key's id, whatever it looks like.
    pub fn access_key(&self) -> &str {
        self.credential.split('/').next().unwrap_or_default()
    }

    /// Key, day, region and service: what a signing key is for.
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// Whether it is in the query: a presigned URL.
    pub fn is_in_query(&self) -> bool {
        self.form != SignatureLocation::Header
    }

    /// What is said of the body.
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// Day, region and service: what a key is derived for.
    pub fn scope(&self) -> &str {
        self.credential.split_once('/').map_or("", |(_, scope)| scope)
    }

    /// The service that it is signed for, as the client names it.
    pub(super) fn service(&self) -> &str {
        self.credential.split('/').nth(3).unwrap_or_default()
    }

    /// Refuses what was signed too far from now; a presigned URL has a time of its own.
    pub fn require_time(&self, now: Timestamp) -> Result<(), SignatureError> {
        let age = now.duration_since(self.date.time());
        match self.form {
            SignatureLocation::Header if age.abs() > WINDOW => Err(SignatureError::Clock(age.as_secs())),
            SignatureLocation::Presigned(_) if age < -WINDOW => Err(SignatureError::Clock(age.as_secs())),
            SignatureLocation::Presigned(lasts) if age >= lasts => {
                Err(SignatureError::Expired((age - lasts).as_secs()))
            }
            _ => Ok(()),
        }
    }

    /// Whether the signature is that of the request, made with this key. `signed` is what the body is to be.
    pub fn verify(
        &self,
        message: &Message<'_>,
        signed: SignedPayload<'_>,
        key: &SigningKey,
    ) -> Result<VerifiedSigV4, Mismatch> {
        let mut first = None;
        let readings = RequestReadings::of(self, message);
        for payload in signed.lines() {
            for canonical in readings.hashes(self, message, &payload) {
                let mac = key.sign(&[
                    ALGORITHM.as_bytes(),
                    b"\n",
                    self.date.as_str().as_bytes(),
                    b"\n",
                    self.scope().as_bytes(),
                    b"\n",
                    mac::Hex32::of(&canonical).as_bytes(),
                ]);
                if mac::same(&mac, &self.signature) {
                    return Ok(self.proven());
                }
                first.get_or_insert(canonical);
            }
        }
        Err(Mismatch {
            canonical: first.unwrap_or_default(),
        })
    }

    /// The verifier of the body's chunks, which are signed one after another from this signature on. `length` is that of
    /// their content, if it is known.
    pub fn chunks(&self, form: Chunked, key: &SigningKey, length: Option<u64>) -> Chunks {
        let chain = Chain::new(key.clone(), self.date.as_str(), self.scope(), self.signature);
        Chunks::new(form, chain, length)
    }

    fn proven(&self) -> VerifiedSigV4 {
        let lasts = match self.form {
            SignatureLocation::Header => WINDOW,
            SignatureLocation::Presigned(lasts) => lasts,
        };
        let until = self.date.time().checked_add(lasts);
        VerifiedSigV4 {
            signature: self.signature,
            until: until.unwrap_or(Timestamp::MAX),
        }
    }
}

#[cfg(test)]
mod aws_vectors;
#[cfg(test)]
mod tests;
