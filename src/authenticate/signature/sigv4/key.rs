//! Signing keys, derived from a secret for one day, region and service.

use crate::authenticate::signature::mac::hmac_sha256;
use crate::secret::Secret;

/// A key that signs for one day, region and service.
#[derive(Clone, Debug)]
pub struct SigningKey(Secret<[u8; 32]>);

impl SigningKey {
    /// Derives the key of a credential (`key/day/region/service/aws4_request`) from its secret.
    pub fn derive(secret: &str, credential: &str) -> Self {
        let first = Secret::new([b"AWS4", secret.as_bytes()].concat());
        let mut parts = credential.split('/').skip(1);
        let mut part = || parts.next().unwrap_or_default().as_bytes();
        let day = Secret::new(hmac_sha256(first.expose(), &[part()]));
        let region = Secret::new(hmac_sha256(day.expose(), &[part()]));
        let service = Secret::new(hmac_sha256(region.expose(), &[part()]));
        Self(Secret::new(hmac_sha256(service.expose(), &[b"aws4_request"])))
    }

    /// Returns the key itself, to be cached.
    pub fn secret(&self) -> &Secret<[u8; 32]> {
        &self.0
    }

    pub(super) fn sign(&self, pieces: &[&[u8]]) -> [u8; 32] {
        hmac_sha256(self.0.expose(), pieces)
    }
}

impl From<Secret<[u8; 32]>> for SigningKey {
    /// A key that was derived before.
    fn from(derived: Secret<[u8; 32]>) -> Self {
        Self(derived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticate::signature::mac::from_hex;

    #[test]
    fn the_published_example_of_a_signing_key() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let key = SigningKey::derive(secret, "AKIDEXAMPLE/20120215/us-east-1/iam/aws4_request");
        let expected = "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d";
        let expected: [u8; 32] = from_hex(expected).unwrap();
        assert_eq!(key.sign(&[b"x"]), hmac_sha256(&expected, &[b"x"]));
    }
}
