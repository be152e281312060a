//! What is wrong with a signature.

use std::fmt;

/// Why a signed request is refused, in terms that help whoever signs and tell an attacker nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It cannot be read.
    #[error("{0}")]
    Malformed(&'static str),
    /// The request proves who it comes from in more than one way.
    #[error("the request carries more than one proof of who it comes from")]
    Several,
    /// What must be signed is not.
    #[error("{0} is not signed")]
    NotSigned(Box<str>),
    /// What is signed is not there.
    #[error("{0} is signed but not there")]
    Missing(Box<str>),
    /// The time of signing is too far from now: so many seconds behind, or ahead if negative.
    #[error("the request was signed {0} s ago by its own account")]
    Clock(i64),
    /// Its own time is over, by so many seconds.
    #[error("the signature expired {0} s ago")]
    Expired(i64),
    /// It is of AWS's version 2, which does not sign enough of a request.
    #[error("the signature is of AWS's version 2")]
    Version2,
    /// It is in the query, and the route does not allow that.
    #[error("presigned requests are not accepted here")]
    Presigned,
    /// The body is left unsigned, and the route does not allow that.
    #[error("the body is not signed")]
    BodyNotSigned,
    /// The body is another one than was signed.
    #[error("the body is another one than was signed")]
    BodyDiffers,
    /// The key is unknown, disabled or expired, or the signature is another: one answer, whichever it is.
    #[error("the key is unknown, or the signature is another")]
    Mismatch,
}

/// A signature that was not made with the secret over this request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// SHA-256 of what should have been signed: for the log, where it can be compared with the client's.
    pub canonical: [u8; 32],
}

impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unproven({self})")
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.canonical.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
