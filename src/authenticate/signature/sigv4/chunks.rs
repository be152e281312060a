//! Decodes `aws-chunked` bodies and verifies the signature of each chunk.
//!
//! ```text
//! 10000;chunk-signature=<hex>\r\n … 0x10000 bytes … \r\n
//! 0;chunk-signature=<hex>\r\n
//! x-amz-checksum-crc32c:<base64>\r\n          with a trailer
//! x-amz-trailer-signature:<hex>\r\n           with a signed trailer
//! \r\n
//! ```

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};
use sha2::{Digest, Sha256};

use super::chain::Chain;
use crate::authenticate::signature::SignatureError;
use crate::authenticate::signature::mac::from_hex;

/// Longest chunk header, in bytes: a length, and a signature as its extension.
const LONGEST_LINE: usize = 256;

/// Longest trailer, in bytes.
const LONGEST_TRAILER: usize = 8 << 10;

/// The variant of `aws-chunked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunked {
    /// Signed chunks.
    Signed,
    /// Signed chunks, and a signed trailer.
    SignedWithTrailer,
    /// Unsigned chunks, and a trailer.
    UnsignedWithTrailer,
}

/// Incremental decoder that verifies every chunk.
#[derive(Debug)]
pub struct Chunks {
    form: Chunked,
    chain: Chain,
    state: ChunkState,
    /// Bytes of an incomplete line.
    line: Vec<u8>,
    /// The signed part of the trailer, in canonical form.
    trailer: Vec<u8>,
    hash: Sha256,
    /// Bytes of content still missing, if the length was declared.
    expected: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkState {
    /// In a chunk header.
    Begin,
    /// In a chunk's data, with the number of bytes that are missing.
    Data {
        missing: u64,
        signature: [u8; 32],
    },
    /// After a chunk's data.
    Behind,
    Trailer {
        is_signed: bool,
    },
    /// After the last chunk.
    End,
    Over,
}

impl Chunked {
    const ALL: [Self; 3] = [Self::Signed, Self::SignedWithTrailer, Self::UnsignedWithTrailer];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    /// Returns the value that replaces the body's hash in the canonical request.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Signed => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedWithTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::UnsignedWithTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }

    /// Whether the content is signed.
    pub fn is_signed(self) -> bool {
        self != Self::UnsignedWithTrailer
    }
}

impl Chunks {
    /// Creates a decoder for chunks that continue `chain`. `expected` is the length of the content, if
    /// declared.
    pub(super) fn new(form: Chunked, chain: Chain, expected: Option<u64>) -> Self {
        Self {
            form,
            chain,
            state: ChunkState::Begin,
            line: Vec::new(),
            trailer: Vec::new(),
            hash: Sha256::new(),
            expected,
        }
    }

    /// Consumes bytes and appends content to `content`; that of an incomplete chunk is not verified yet.
    pub fn push(&mut self, mut bytes: Bytes, content: &mut VecDeque<Bytes>) -> Result<(), SignatureError> {
        while !bytes.is_empty() {
            if let ChunkState::Data { missing, signature } = self.state {
                let count = usize::try_from(missing).map_or(bytes.len(), |missing| missing.min(bytes.len()));
                let data = bytes.split_to(count);
                self.count(data.len())?;
                if self.form.is_signed() {
                    self.hash.update(&data);
                }
                content.push_back(data);
                let missing = missing - count as u64;
                self.state = ChunkState::Data { missing, signature };
                if missing == 0 {
                    self.require_signature(&signature)?;
                    self.state = ChunkState::Behind;
                }
            } else if self.state == ChunkState::Over {
                return Err(NO_CHUNK);
            } else if let Some(line) = self.read_line(&mut bytes)? {
                self.state = self.next(&line)?;
            }
        }
        Ok(())
    }

    /// Checks that the body is complete.
    pub fn end(&self) -> Result<(), SignatureError> {
        if self.state == ChunkState::Over && self.expected.unwrap_or(0) == 0 {
            Ok(())
        } else {
            Err(SignatureError::BodyDiffers)
        }
    }

    fn count(&mut self, length: usize) -> Result<(), SignatureError> {
        if let Some(expected) = &mut self.expected {
            *expected = expected
                .checked_sub(length as u64)
                .ok_or(SignatureError::BodyDiffers)?;
        }
        Ok(())
    }

    /// Returns the next line without its end, once it is complete.
    fn read_line(&mut self, bytes: &mut Bytes) -> Result<Option<Vec<u8>>, SignatureError> {
        let end = memchr::memchr(b'\n', bytes);
        let count = end.map_or(bytes.len(), |end| end + 1);
        if self.line.len() + count > LONGEST_LINE.max(self.room_for_trailer()) {
            return Err(NO_CHUNK);
        }
        self.line.extend_from_slice(&bytes[..count]);
        bytes.advance(count);
        if end.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        line.pop();
        match line.pop() {
            Some(b'\r') => Ok(Some(line)),
            // Some clients end a trailer's lines with a bare LF.
            Some(other) if matches!(self.state, ChunkState::Trailer { .. }) => {
                line.push(other);
                Ok(Some(line))
            }
            _ => Err(NO_CHUNK),
        }
    }

    fn room_for_trailer(&self) -> usize {
        match self.state {
            ChunkState::Trailer { .. } => LONGEST_TRAILER.saturating_sub(self.trailer.len()),
            _ => 0,
        }
    }

    /// Handles a line and returns the next state.
    fn next(&mut self, line: &[u8]) -> Result<ChunkState, SignatureError> {
        let line = std::str::from_utf8(line).map_err(|_| NO_CHUNK)?;
        match self.state {
            ChunkState::Begin => self.begin(line),
            ChunkState::Behind if line.is_empty() => Ok(ChunkState::Begin),
            ChunkState::End if line.is_empty() => Ok(ChunkState::Over),
            ChunkState::Trailer { is_signed } if line.is_empty() => {
                if self.form.is_signed() && !is_signed {
                    return Err(SignatureError::NotSigned("the trailer".into()));
                }
                Ok(ChunkState::Over)
            }
            ChunkState::Trailer { is_signed: false } => self.trailer_line(line),
            _ => Err(NO_CHUNK),
        }
    }

    fn begin(&mut self, line: &str) -> Result<ChunkState, SignatureError> {
        let (length, extension) = line.split_once(';').unwrap_or((line, ""));
        let is_length = (1..=16).contains(&length.len()) && length.bytes().all(|b| b.is_ascii_hexdigit());
        let missing = u64::from_str_radix(length, 16).ok().filter(|_| is_length);
        let missing = missing.ok_or(NO_CHUNK)?;
        let signature = if self.form.is_signed() {
            let signature = extension.strip_prefix("chunk-signature=").and_then(from_hex);
            signature.ok_or(SignatureError::NotSigned("a chunk".into()))?
        } else {
            [0; 32]
        };
        if missing > 0 {
            return Ok(ChunkState::Data { missing, signature });
        }
        self.require_signature(&signature)?;
        Ok(match self.form {
            Chunked::Signed => ChunkState::End,
            Chunked::SignedWithTrailer | Chunked::UnsignedWithTrailer => {
                ChunkState::Trailer { is_signed: false }
            }
        })
    }

    fn trailer_line(&mut self, line: &str) -> Result<ChunkState, SignatureError> {
        let (name, value) = line.split_once(':').ok_or(NO_CHUNK)?;
        if name == "x-amz-trailer-signature" && self.form.is_signed() {
            let signature = from_hex(value.trim_matches([' ', '\t'])).ok_or(NO_CHUNK)?;
            self.chain.require_trailer(&self.trailer, &signature)?;
            return Ok(ChunkState::Trailer { is_signed: true });
        }
        for piece in [
            name.trim_matches([' ', '\t']).to_ascii_lowercase().as_str(),
            ":",
            value.trim_matches([' ', '\t']),
            "\n",
        ] {
            self.trailer.extend_from_slice(piece.as_bytes());
        }
        if self.trailer.len() > LONGEST_TRAILER {
            return Err(NO_CHUNK);
        }
        Ok(ChunkState::Trailer { is_signed: false })
    }

    fn require_signature(&mut self, signature: &[u8; 32]) -> Result<(), SignatureError> {
        if !self.form.is_signed() {
            return Ok(());
        }
        let hash = self.hash.finalize_reset().into();
        self.chain.require_chunk(&hash, signature)
    }
}

const NO_CHUNK: SignatureError = SignatureError::Malformed("the body is not in chunks as it says");

#[cfg(test)]
mod tests;
