//! Verifies a body while it arrives.

use std::collections::VecDeque;

use bytes::Bytes;

use super::SignatureError;
use super::content_digest::Hashing;
use super::sigv4::Chunks;

/// The check of a signed body. The caller withholds the last piece of content until [`end`](Self::end)
/// succeeds.
#[derive(Debug)]
pub enum BodyCheck {
    /// Compares the hash of all of it.
    Hash(Box<Hashing>),
    /// Verifies chunks, and extracts their content.
    Chunks(Box<Chunks>),
}

impl BodyCheck {
    /// Consumes a piece; appends its content to `content`.
    pub fn push(&mut self, piece: Bytes, content: &mut VecDeque<Bytes>) -> Result<(), SignatureError> {
        match self {
            Self::Hash(hashing) => {
                hashing.update(&piece);
                content.push_back(piece);
                Ok(())
            }
            Self::Chunks(chunks) => chunks.push(piece, content),
        }
    }

    /// Completes the check; refuses a body that differs from the signed one.
    pub fn end(&mut self) -> Result<(), SignatureError> {
        match self {
            Self::Hash(hashing) => hashing.end(),
            Self::Chunks(chunks) => chunks.end(),
        }
    }
}
