//! Compression of response content (RFC 9110, section 8.4): which responses may be compressed, by which coding, and how.
//!
//! The codings are streams that can be flushed at any byte, so that nothing of a response that pauses is held back.

mod accept_encoding;
mod encoded_forms;
mod encoder;
mod response;

use http::HeaderValue;

pub use accept_encoding::negotiate;
pub use encoded_forms::EncodedForms;
pub use encoder::ContentEncoder;
pub use response::{
    is_compressible, is_transformable, mark_encoded, mark_negotiated, renews_compressible, weaken_entity_tag,
};

/// A content coding. In the order of preference: at the levels that are used here zstd costs a third of gzip for about the
/// same size, and brotli, whose strength is in large windows, needs more time and memory than either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContentCoding {
    /// `zstd` (RFC 8878)
    Zstd,
    /// `gzip` (RFC 1952)
    Gzip,
    /// `br` (RFC 7932)
    Brotli,
}

impl ContentCoding {
    /// All, the preferred one first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Gzip, Self::Brotli];

    /// Returns its name in `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    /// Returns the KiB that an encoder takes at most, as measured.
    pub const fn memory(self) -> u32 {
        match self {
            Self::Zstd => 1536,
            Self::Gzip => 448,
            Self::Brotli => 1792,
        }
    }

    fn header_value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }
}
