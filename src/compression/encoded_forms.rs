//! The encoded forms of content that never changes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{ContentCoding, ContentEncoder};

/// Content that is compressed once for each coding, when that is first asked for. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct EncodedForms(Arc<[OnceLock<Option<Bytes>>; ContentCoding::ALL.len()]>);

impl EncodedForms {
    /// Returns the form of `content`, which is always the same; `None` if it cannot be compressed.
    pub fn of(&self, content: &[u8], coding: ContentCoding) -> Option<Bytes> {
        let form = self.0[coding as usize].get_or_init(|| {
            let mut encoder = ContentEncoder::new(coding).ok()?;
            encoder.write(content).ok()?;
            encoder.finish().ok()
        });
        form.clone()
    }
}
