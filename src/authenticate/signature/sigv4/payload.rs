//! What a request says of its body.

use super::chunks::Chunked;
use crate::authenticate::signature::mac::{Hex32, from_hex};
use crate::authenticate::signature::{Message, SignatureError};

/// The header that says it.
const HEADER: &str = "x-amz-content-sha256";

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What is said of the body. The words are part of what is signed, whether or not their header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing: its hash was signed and must be found out.
    Undeclared,
    /// Its SHA-256.
    Hash([u8; 32]),
    /// It is not signed.
    Unsigned,
    /// It comes in chunks, each with a signature or a checksum of its own.
    Chunked(Chunked),
}

/// What the body is, for what is signed of it.
#[derive(Clone, Copy, Debug)]
pub enum SignedPayload<'a> {
    /// What the request says.
    Declared(Payload),
    /// SHA-256 of the body that was read.
    Read(&'a [u8; 32]),
    /// The same, and it may also be left unsigned, as presigned URLs do without saying so.
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

/// What stands for the body in what is signed.
#[derive(Clone, Debug)]
pub(super) enum HashedPayload {
    Hash(Hex32),
    Word(&'static str),
}

impl SignedPayload<'_> {
    /// What may stand for the body.
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
