//! AWS Signature Version 4: in the `Authorization` header, in the query of a presigned URL, and over the
//! chunks of a body.
//!
//! Where clients differ, the variants are tried in turn, and no others: the path as sent, encoded once more,
//! encoded anew, or without duplicate slashes; the query encoded anew and sorted, sorted as sent, or as sent;
//! the host with or without the default port. Each variant is a reading of the request, and a path with a
//! reading of another route was refused before. A session token is an ordinary header: AWS sessions do not
//! exist here.

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

/// The scheme's name in `Authorization`, and the algorithm's.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Largest difference between the time of signing and now.
const WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// The parsed parameters of a signature.
#[derive(Clone, Debug)]
pub struct SigV4Claim<'a> {
    form: SignatureLocation,
    /// Key, day, region, service and `aws4_request`, separated by `/`.
    credential: Cow<'a, str>,
    /// Header names in lower case, separated by `;`.
    signed_headers: Cow<'a, str>,
    signature: [u8; 32],
    date: AmzDate,
    payload: Payload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignatureLocation {
    Header,
    /// Valid for this long after the time of signing.
    Presigned(SignedDuration),
}

/// A valid signature.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedSigV4 {
    /// The signature's bytes.
    pub signature: [u8; 32],
    /// When the signature becomes invalid.
    pub until: Timestamp,
}

impl SigV4Claim<'_> {
    /// Returns the access key id, not validated.
    pub fn access_key(&self) -> &str {
        self.credential.split('/').next().unwrap_or_default()
    }

    /// Returns key, day, region and service, from which the signing key is derived.
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// Whether it is in the query: a presigned URL.
    pub fn is_in_query(&self) -> bool {
        self.form != SignatureLocation::Header
    }

    /// Returns what the request declares about its body.
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// Returns day, region and service, the scope of a signing key.
    pub fn scope(&self) -> &str {
        self.credential.split_once('/').map_or("", |(_, scope)| scope)
    }

    /// Returns the service that the client signed for.
    pub(super) fn service(&self) -> &str {
        self.credential.split('/').nth(3).unwrap_or_default()
    }

    /// Refuses a signature that is too old or too far in the future; a presigned URL has its own lifetime.
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

    /// Verifies the signature with this key; `signed` tells what stands for the body.
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

    /// Returns the decoder of the body's chunks, whose signatures continue this one. `length` is that of the
    /// content, if declared.
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
