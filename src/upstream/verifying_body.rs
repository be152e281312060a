//! Verifies a signed body while it is forwarded, and withholds its end until the check has passed (S38).

use std::collections::VecDeque;

use bytes::Bytes;

use crate::authenticate::signature::{BodyCheck, SignatureError};

/// A body under verification. Of a wrong body, the upstream never gets everything.
#[derive(Debug)]
pub(super) struct VerifyingBody {
    check: BodyCheck,
    /// Content not forwarded yet; the last piece stays until the end.
    held: VecDeque<Bytes>,
    is_right: bool,
}

impl VerifyingBody {
    pub(super) fn new(check: BodyCheck) -> Self {
        Self {
            check,
            held: VecDeque::new(),
            is_right: false,
        }
    }

    /// Adds a piece that arrived.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<(), SignatureError> {
        if piece.is_empty() {
            return Ok(());
        }
        self.check.push(piece, &mut self.held)
    }

    /// Completes the check, once everything has arrived.
    pub(super) fn end(&mut self) -> Result<(), SignatureError> {
        if !self.is_right {
            self.check.end()?;
            self.is_right = true;
        }
        Ok(())
    }

    /// Returns a piece that may be forwarded.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let kept_back = usize::from(!self.is_right);
        if self.held.len() > kept_back {
            self.held.pop_front()
        } else {
            None
        }
    }

    /// Whether everything was verified and forwarded.
    pub(super) fn is_over(&self) -> bool {
        self.is_right && self.held.is_empty()
    }

    /// Returns how many bytes are withheld.
    pub(super) fn held(&self) -> u64 {
        self.held.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Whether the forwarded body is as long as the received one.
    pub(super) fn keeps_length(&self) -> bool {
        matches!(self.check, BodyCheck::Hash(_))
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::authenticate::signature::content_digest::ContentDigest;

    fn checked(of: &[u8]) -> VerifyingBody {
        let hash: [u8; 32] = Sha256::digest(of).into();
        VerifyingBody::new(BodyCheck::Hash(Box::new(ContentDigest::from(hash).hashing())))
    }

    #[test]
    fn s38_the_last_piece_stays_until_the_body_is_right() {
        for (last, is_right) in [("two", true), ("twO", false)] {
            let mut checked = checked(b"onetwo");
            checked.push(Bytes::from_static(b"one")).unwrap();
            assert_eq!(checked.pop(), None);
            checked.push(Bytes::new()).unwrap();
            assert_eq!(checked.pop(), None);
            checked.push(Bytes::copy_from_slice(last.as_bytes())).unwrap();
            assert_eq!(checked.pop().unwrap(), "one");
            assert_eq!((checked.pop(), checked.held()), (None, 3));
            assert_eq!(checked.end().is_ok(), is_right);
            assert_eq!(checked.pop().is_some(), is_right);
            assert_eq!(checked.is_over(), is_right);
        }
    }
}
