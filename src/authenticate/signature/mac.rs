//! HMACs, their comparison in constant time, and their hexadecimal form.

use base16ct::lower;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Computes the HMAC-SHA256 of the concatenated pieces (RFC 2104).
pub(super) fn hmac_sha256(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    hmac::<Hmac<Sha256>>(key, pieces).map_or([0; 32], |mac| mac.finalize().into_bytes().into())
}

/// Returns an HMAC over the pieces; never `None`, because HMAC accepts keys of any length.
pub(super) fn hmac<M: Mac + KeyInit>(key: &[u8], pieces: &[&[u8]]) -> Option<M> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for piece in pieces {
        mac.update(piece);
    }
    Some(mac)
}

/// Compares in constant time.
pub(super) fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.ct_eq(other).into()
}

/// Decodes lower-case hexadecimal digits; refuses other spellings, so that a signature has only one.
pub(super) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    lower::decode(text, &mut bytes).ok()?;
    Some(bytes)
}

/// 32 bytes as lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hex32([u8; 64]);

impl Hex32 {
    pub(super) fn of(bytes: &[u8; 32]) -> Self {
        let mut text = [0; 64];
        // Cannot fail: the buffer has exactly the size.
        let _ = lower::encode(bytes, &mut text);
        Self(text)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
