//! The payload hash of a `SigV4` signature: what a request declares about its body.

use super::chunks::Chunked;
use crate::authenticate::signature::mac::{Hex32, from_hex};
use crate::authenticate::signature::{Message, SignatureError};

/// The header that declares it.
const HEADER: &str = "x-amz-content-sha256";

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The declared payload. Its value is signed even if its header is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// No declaration: the hash must be computed from the body.
    Undeclared,
    /// Its SHA-256.
    Hash([u8; 32]),
    /// Not signed.
    Unsigned,
    /// `aws-chunked`, with a signature for each chunk or a checksum.
    Chunked(Chunked),
}

/// The payload to verify a signature against.
#[derive(Clone, Copy, Debug)]
pub enum SignedPayload<'a> {
    /// As declared.
    Declared(Payload),
    /// SHA-256 of the body, which was read.
    Read(&'a [u8; 32]),
    /// The same, or unsigned, as presigned URLs may be without a declaration.
    ReadOrUnsigned(&'a [u8; 32]),
}

impl Payload {
    pub(super) fn of(message: &Message<'_>) -> Result<Self, SignatureError> {
        Ok(match message.only(HEADER)? {
            None => Self::Undeclared,
            Some(UNSIGNED) => Self::Unsigned,
            Some(text) => match Chunked::named(text) {
                Some(chunked) => Self::Chunked(chunked),
                None => Self::Hash(from_hex(text).ok_or(SignatureError::Malformed(
                    "x-amz-content-sha256 is neither a SHA-256 nor a word that is known",
                ))?),
            },
        })
    }
}

/// The payload line of a canonical request.
#[derive(Clone, Debug)]
pub(super) enum HashedPayload {
    Hash(Hex32),
    Word(&'static str),
}

impl SignedPayload<'_> {
    /// Returns the possible payload lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = HashedPayload> + use<> {
        let hash = |hash: &[u8; 32]| HashedPayload::Hash(Hex32::of(hash));
        let (first, second) = match self {
            Self::Declared(Payload::Undeclared) => (None, None),
            Self::Declared(Payload::Hash(declared)) => (Some(hash(declared)), None),
            Self::Declared(Payload::Unsigned) => (Some(HashedPayload::Word(UNSIGNED)), None),
            Self::Declared(Payload::Chunked(chunked)) => (Some(HashedPayload::Word(chunked.name())), None),
            Self::Read(read) => (Some(hash(read)), None),
            Self::ReadOrUnsigned(read) => (Some(hash(read)), Some(HashedPayload::Word(UNSIGNED))),
        };
        first.into_iter().chain(second)
    }
}

impl HashedPayload {
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Hash(text) => text.as_bytes(),
            Self::Word(word) => word.as_bytes(),
        }
    }
}
