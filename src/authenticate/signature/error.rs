//! Errors of signatures.

use std::fmt;

/// Why a signed request is refused, in terms that help the signer and tell an attacker nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It cannot be parsed.
    #[error("{0}")]
    Malformed(&'static str),
    /// The request has more than one proof.
    #[error("the request carries more than one proof of who it comes from")]
    Several,
    /// A part that must be signed is not.
    #[error("{0} is not signed")]
    NotSigned(Box<str>),
    /// A signed part is missing from the request.
    #[error("{0} is signed but not there")]
    Missing(Box<str>),
    /// The time of signing is too far from now: seconds behind, or ahead if negative.
    #[error("the request was signed {0} s ago by its own account")]
    Clock(i64),
    /// The signature expired, this many seconds ago.
    #[error("the signature expired {0} s ago")]
    Expired(i64),
    /// AWS Signature Version 2, which does not sign enough of a request.
    #[error("the signature is of AWS's version 2")]
    Version2,
    /// Presigned, and the route does not accept that.
    #[error("presigned requests are not accepted here")]
    Presigned,
    /// The body is not signed, and the route does not accept that.
    #[error("the body is not signed")]
    BodyNotSigned,
    /// The body differs from the signed one.
    #[error("the body is another one than was signed")]
    BodyDiffers,
    /// The key is unknown, disabled or expired, or the signature differs; one error for all of them.
    #[error("the key is unknown, or the signature is another")]
    Mismatch,
}

/// A signature that does not match the request and secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// SHA-256 of the expected canonical request, for the log, to compare with the client's.
    pub canonical: [u8; 32],
}

impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mismatch({self})")
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.canonical.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
