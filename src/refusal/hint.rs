//! What helps a client beyond the kind of a refusal.

use crate::route::BadPath;

/// What a client is told beyond the kind of a refusal: where to look, and nothing that only the owner of a key may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The access key is unknown, or its secret is another.
    SecretKey,
    /// The client's clock is so many seconds behind.
    ClockBehind(u64),
    /// The client's clock is so many seconds ahead.
    ClockAhead(u64),
    /// The signature was good until so many seconds ago.
    Expired(u64),
    /// This part of the request must be signed.
    NotSigned(Box<str>),
    /// This part of the request is signed and not there.
    Missing(Box<str>),
    /// The signature cannot be read, for this reason.
    Unreadable(&'static str),
    /// The path is refused, for this reason.
    Path(BadPath),
    /// A proxy asks in the clear and does not say that it was asked over HTTPS.
    Insecure,
    /// This header names no URL that can be read in one way only.
    ReferenceUnreadable(&'static str),
    /// This header names another host.
    ReferenceElsewhere(&'static str),
    /// This header names a resource that the client may not use as it would be.
    ReferenceForbidden(&'static str),
    /// In the collection, at the source or the destination, is what the client may not use as it would be.
    BelowForbidden,
    /// The signature is of AWS's version 2.
    SignatureVersion2,
    /// The route takes no signature in a query.
    Presigned,
    /// The body is not signed.
    BodyNotSigned,
    /// The body is another one than was signed.
    BodyDiffers,
    /// The challenge is too old, or none.
    ChallengeStale,
    /// Another account has the address that this one was to move to.
    EmailTaken,
    /// The session began with an access key, and what is asked for needs the password.
    PasswordFirst,
    /// The account was changed too often by its owner.
    ChangedOften,
    /// The access key signs requests and signs nobody in.
    KeyLimited,
}
