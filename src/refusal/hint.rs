//! Hints that a refusal gives the client beyond its kind.

use super::RateLimit;
use crate::route::BadPath;

/// What the client is told beyond the kind of a refusal; nothing that only the owner of a key may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The access key is unknown, or its secret differs.
    SecretKey,
    /// The client's clock is slow, by this many seconds.
    ClockBehind(u64),
    /// The client's clock is fast, by this many seconds.
    ClockAhead(u64),
    /// The signature expired this many seconds ago.
    Expired(u64),
    /// This part of the request must be signed.
    NotSigned(Box<str>),
    /// This signed part is missing from the request.
    Missing(Box<str>),
    /// The signature cannot be parsed, for this reason.
    Unreadable(&'static str),
    /// The path is refused, for this reason.
    Path(BadPath),
    /// A proxy asks in the clear and does not say that it was asked over HTTPS.
    Insecure,
    /// This header names no URL that has only one reading.
    ReferenceUnreadable(&'static str),
    /// This header names another host.
    ReferenceElsewhere(&'static str),
    /// This header names a resource that the client may not use in this way.
    ReferenceForbidden(&'static str),
    /// The collection, source or destination contains a resource that the client may not use in this way.
    BelowForbidden,
    /// AWS Signature Version 2 is not supported.
    SignatureVersion2,
    /// The route accepts no presigned URLs.
    Presigned,
    /// The body is not signed.
    BodyNotSigned,
    /// The body differs from the signed one.
    BodyDiffers,
    /// The challenge is invalid or too old.
    ChallengeStale,
    /// Another account has the requested e-mail address.
    EmailTaken,
    /// The session was started with an access key, and this request needs the password.
    PasswordFirst,
    /// The account was changed too often by its owner.
    ChangedOften,
    /// The access key may sign requests, but not sign in.
    KeyLimited,
    /// The route is in maintenance.
    Maintenance,
    /// There were too many requests.
    RequestRate(RateLimit),
}
