//! A body that is checked while it comes.

use std::collections::VecDeque;

use bytes::Bytes;

use super::SignatureError;
use super::content_digest::Hashing;
use super::sigv4::Chunks;

/// What a body must turn out to be. Whoever hands it on keeps the last of its content back until [`end`](Self::end) says
/// that it is.
#[derive(Debug)]
pub enum BodyCheck {
    /// One with this hash.
    Hash(Box<Hashing>),
    /// Chunks, of which the content alone is handed on.
    Chunks(Box<Chunks>),
}

impl BodyCheck {
    /// Takes a piece; its content goes to `content`.
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

    /// The body is over: refuses it if it is another one than was signed.
    pub fn end(&mut self) -> Result<(), SignatureError> {
        match self {
            Self::Hash(hashing) => hashing.end(),
            Self::Chunks(chunks) => chunks.end(),
        }
    }
}
