//! Message authentication codes and their text.

use base16ct::lower;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// HMAC-SHA256 of the pieces, one after another (RFC 2104).
pub(super) fn hmac_sha256(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    hmac::<Hmac<Sha256>>(key, pieces).map_or([0; 32], |mac| mac.finalize().into_bytes().into())
}

/// An HMAC that has taken the pieces. Keys of any length are taken, so there always is one.
pub(super) fn hmac<M: Mac + KeyInit>(key: &[u8], pieces: &[&[u8]]) -> Option<M> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for piece in pieces {
        mac.update(piece);
    }
    Some(mac)
}

/// Whether both are the same, in a time that does not depend on what they are.
pub(super) fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.ct_eq(other).into()
}

/// What lower-case hexadecimal digits stand for. Other spellings are none, so that a signature has one spelling.
pub(super) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    lower::decode(text, &mut bytes).ok()?;
    Some(bytes)
}

/// Lower-case hexadecimal digits of 32 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hex32([u8; 64]);

impl Hex32 {
    pub(super) fn of(bytes: &[u8; 32]) -> Self {
        let mut text = [0; 64];
        // The room is exactly what it takes.
        let _ = lower::encode(bytes, &mut text);
        Self(text)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
