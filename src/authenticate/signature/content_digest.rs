//! `Content-Digest` (RFC 9530): the declared hash of a body.

use sfv::{BareItem, Dictionary, ListEntry, Parser};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::SignatureError;

/// The header's name.
pub const HEADER: &str = "content-digest";

/// A declared hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentDigest {
    /// SHA-256.
    Sha256(Box<[u8; 32]>),
    /// SHA-512.
    Sha512(Box<[u8; 64]>),
}

/// A running hash, and the declared one.
#[derive(Clone, Debug)]
pub enum Hashing {
    /// SHA-256.
    Sha256(Sha256, Box<[u8; 32]>),
    /// SHA-512.
    Sha512(Sha512, Box<[u8; 64]>),
}

impl ContentDigest {
    /// Parses the header's value. The strongest algorithm counts; unknown ones alone are an error.
    pub fn parse(value: &str) -> Result<Self, SignatureError> {
        const UNREADABLE: SignatureError =
            SignatureError::Malformed("Content-Digest has no sha-256 or sha-512");
        let digests: Dictionary = Parser::new(value).parse().map_err(|_| UNREADABLE)?;
        let bytes = |name: &str| match digests.get(name) {
            Some(ListEntry::Item(item)) => match &item.bare_item {
                BareItem::ByteSequence(bytes) => Some(bytes.as_slice()),
                _ => None,
            },
            _ => None,
        };
        if let Some(hash) = bytes("sha-512") {
            return Ok(Self::Sha512(Box::new(hash.try_into().map_err(|_| UNREADABLE)?)));
        }
        let hash = bytes("sha-256").and_then(|hash| hash.try_into().ok());
        Ok(Self::Sha256(Box::new(hash.ok_or(UNREADABLE)?)))
    }

    /// Starts to hash a body.
    pub fn hashing(self) -> Hashing {
        match self {
            Self::Sha256(declared) => Hashing::Sha256(Sha256::new(), declared),
            Self::Sha512(declared) => Hashing::Sha512(Sha512::new(), declared),
        }
    }
}

impl Hashing {
    /// Hashes a piece.
    pub fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Sha256(hash, _) => hash.update(piece),
            Self::Sha512(hash, _) => hash.update(piece),
        }
    }

    /// Compares the hashes; refuses a body that differs from the declared one.
    pub fn end(&mut self) -> Result<(), SignatureError> {
        let is_same = match self {
            Self::Sha256(hash, declared) => hash.finalize_reset().as_slice().ct_eq(declared.as_slice()),
            Self::Sha512(hash, declared) => hash.finalize_reset().as_slice().ct_eq(declared.as_slice()),
        };
        if bool::from(is_same) {
            Ok(())
        } else {
            Err(SignatureError::BodyDiffers)
        }
    }
}

impl From<[u8; 32]> for ContentDigest {
    /// A SHA-256, as other schemes declare it.
    fn from(hash: [u8; 32]) -> Self {
        Self::Sha256(Box::new(hash))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn the_strongest_known_hash_counts() {
        let (short, long) = (
            STANDARD.encode(Sha256::digest(b"hello")),
            STANDARD.encode(Sha512::digest(b"hello")),
        );
        let judge = |value: &str, body: &[u8]| {
            let mut hashing = ContentDigest::parse(value)?.hashing();
            body.chunks(2).for_each(|piece| hashing.update(piece));
            hashing.end()
        };
        for value in [
            format!("sha-256=:{short}:"),
            format!("md5=:AAAA:, sha-512=:{long}:"),
            format!("sha-256=:{}:, sha-512=:{long}:", STANDARD.encode([0; 32])),
        ] {
            assert_eq!(judge(&value, b"hello"), Ok(()), "{value}");
            assert_eq!(
                judge(&value, b"hellO"),
                Err(SignatureError::BodyDiffers),
                "{value}"
            );
        }
        let unusable = [
            String::new(),
            "md5=:AAAA:".to_owned(),
            format!("sha-256={short}"),
            format!("sha-256=\"{short}\""),
            "sha-256=:AAAA:".to_owned(),
            format!("sha-512=:{short}:"),
            "sha-256=::, ,".to_owned(),
        ];
        for value in unusable {
            assert!(
                matches!(judge(&value, b""), Err(SignatureError::Malformed(_))),
                "{value}"
            );
        }
    }
}
