//! Backend.AI's signature scheme: an HMAC over parts of the head, with a key derived for a day and a host.
//!
//! ```text
//! Authorization: BackendAI signMethod=HMAC-SHA256, credential=<key>:<hex>
//! ```

mod date;

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

use super::mac::hmac;
use super::{Message, Mismatch, SignatureError};
use date::Date;

/// The scheme's name in `Authorization`.
pub const SCHEME: &str = "BackendAI";

/// Largest difference between the time of signing and now.
const WINDOW: SignedDuration = SignedDuration::from_mins(15);

/// From this API version on, the hash of an empty body is signed instead of the body's.
const BODY_UNSIGNED_FROM: (u32, u32) = (4, 20_181_215);

/// The media type of a body without `Content-Type`.
const OCTET_STREAM: &str = "application/octet-stream";

/// Length of the longest MAC, in bytes.
const LONGEST: usize = 64;

/// The parsed parameters of a signature.
#[derive(Clone, Debug)]
pub struct BackendAiClaim<'a> {
    access_key: &'a str,
    algorithm: Algorithm,
    signature: Signature,
    date: Date<'a>,
    version: &'a str,
    signs_body: bool,
    media_type: String,
}

/// A valid signature.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedBackendAi {
    /// The signature's bytes; a shorter one is padded with zeros.
    pub signature: [u8; LONGEST],
    /// When the signature becomes invalid.
    pub until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Debug)]
struct Signature {
    bytes: [u8; LONGEST],
    length: usize,
}

impl<'a> BackendAiClaim<'a> {
    /// Parses what follows the scheme in `Authorization`, and the headers that belong to the signature.
    pub fn of(parameters: &'a str, message: &Message<'a>) -> Result<Self, SignatureError> {
        let (mut method, mut credential) = (None, None);
        for field in parameters.split(',') {
            match field.trim().split_once('=') {
                Some(("signMethod", value)) if method.is_none() => method = Some(value),
                Some(("credential", value)) if credential.is_none() => credential = Some(value),
                _ => {
                    return Err(SignatureError::Malformed(
                        "the Authorization header has a field too many",
                    ));
                }
            }
        }
        let algorithm = method
            .and_then(Algorithm::named)
            .ok_or(SignatureError::Malformed(
                "signMethod is none of HMAC-SHA256, HMAC-SHA384 and HMAC-SHA512",
            ))?;
        let (access_key, signature) = credential
            .and_then(|credential| credential.split_once(':'))
            .ok_or(SignatureError::Malformed("the credential is not key:signature"))?;
        let signature = Signature::parse(signature, algorithm).ok_or(SignatureError::Malformed(
            "the signature is not what signMethod says",
        ))?;
        // Backend.AI's own server accepts both, and prefers `Date`.
        let date = match message.only("date")?.filter(|date| !date.is_empty()) {
            Some(date) => Some(date),
            None => message.only("x-backendai-date")?,
        };
        let date = date.ok_or(SignatureError::Missing("x-backendai-date".into()))?;
        let version = message.only("x-backendai-version")?;
        let version = version.ok_or(SignatureError::Missing("x-backendai-version".into()))?;
        Ok(Self {
            access_key,
            algorithm,
            signature,
            date: Date::parse(date).ok_or(SignatureError::Malformed("the date is not a date"))?,
            version,
            signs_body: numbers(version)
                .ok_or(SignatureError::Malformed("the version is not like v4.20181215"))?
                < BODY_UNSIGNED_FROM,
            media_type: media_type(message.only("content-type")?),
        })
    }

    /// Returns the access key id, not validated.
    pub fn access_key(&self) -> &'a str {
        self.access_key
    }

    /// Whether the body's hash is signed; later API versions do not sign it.
    pub fn signs_body(&self) -> bool {
        self.signs_body
    }

    /// Refuses a signature that is too old, or too far in the future.
    pub fn require_time(&self, now: Timestamp) -> Result<(), SignatureError> {
        let age = now.duration_since(self.date.time());
        if age.abs() > WINDOW {
            return Err(SignatureError::Clock(age.as_secs()));
        }
        Ok(())
    }

    /// Verifies the signature with this secret; `body` is ignored if it is not signed.
    pub fn verify(
        &self,
        message: &Message<'_>,
        body: &[u8],
        secret: &str,
    ) -> Result<VerifiedBackendAi, Mismatch> {
        let body = if self.signs_body { body } else { b"" };
        let is_same = match self.algorithm {
            Algorithm::Sha256 => self.verify_with::<Hmac<Sha256>, Sha256>(message, body, secret),
            Algorithm::Sha384 => self.verify_with::<Hmac<Sha384>, Sha384>(message, body, secret),
            Algorithm::Sha512 => self.verify_with::<Hmac<Sha512>, Sha512>(message, body, secret),
        };
        if is_same {
            let until = self.date.time().checked_add(WINDOW);
            return Ok(VerifiedBackendAi {
                signature: self.signature.bytes,
                until: until.unwrap_or(Timestamp::MAX),
            });
        }
        let hash = hex(&Sha256::digest(body));
        let text = self.signed(message, message.authority, &hash).concat();
        Err(Mismatch {
            canonical: Sha256::digest(text).into(),
        })
    }

    /// Also tries the host with port 443: clients sign their endpoint's port, and their HTTP library omits
    /// the default one.
    fn verify_with<M: Mac + KeyInit, D: Digest>(
        &self,
        message: &Message<'_>,
        body: &[u8],
        secret: &str,
    ) -> bool {
        let hash = hex(&D::digest(body));
        let with_port;
        let mut hosts = [Some(message.authority), None];
        if !has_port(message.authority) {
            with_port = format!("{}:443", message.authority);
            hosts[1] = Some(&with_port);
        }
        hosts.into_iter().flatten().any(|host| {
            let mac = || -> Option<M> {
                let day = hmac::<M>(secret.as_bytes(), &[self.date.day().as_bytes()])?
                    .finalize()
                    .into_bytes();
                let key = hmac::<M>(&day, &[host.as_bytes()])?.finalize().into_bytes();
                hmac::<M>(&key, &self.signed(message, host, &hash))
            };
            mac().is_some_and(|mac| self.signature.is(&mac.finalize().into_bytes()))
        })
    }

    /// Returns what is signed, in pieces, one line each: method, target, date, host, type, version, body.
    fn signed<'s>(&'s self, message: &Message<'s>, host: &'s str, body: &'s str) -> [&'s [u8]; 15] {
        let (mark, query) = match message.query {
            Some(query) => ("?", query),
            None => ("", ""),
        };
        [
            message.method.as_bytes(),
            b"\n",
            message.path.as_bytes(),
            mark.as_bytes(),
            query.as_bytes(),
            b"\n",
            self.date.as_str().as_bytes(),
            b"\nhost:",
            host.as_bytes(),
            b"\ncontent-type:",
            self.media_type.as_bytes(),
            b"\nx-backendai-version:",
            self.version.as_bytes(),
            b"\n",
            body.as_bytes(),
        ]
    }
}

impl Algorithm {
    fn named(name: &str) -> Option<Self> {
        let all = [
            ("HMAC-SHA256", Self::Sha256),
            ("HMAC-SHA384", Self::Sha384),
            ("HMAC-SHA512", Self::Sha512),
        ];
        all.into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, algorithm)| algorithm)
    }

    fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl Signature {
    fn parse(text: &str, algorithm: Algorithm) -> Option<Self> {
        let length = algorithm.length();
        let mut bytes = [0; LONGEST];
        let place = bytes.get_mut(..length)?;
        if text.len() != 2 * length {
            return None;
        }
        base16ct::lower::decode(text, place).ok()?;
        Some(Self { bytes, length })
    }

    fn is(&self, mac: &[u8]) -> bool {
        self.bytes[..self.length].ct_eq(mac).into()
    }
}

fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// Returns the media type in lower case, without parameters.
fn media_type(content_type: Option<&str>) -> String {
    let named = content_type
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    named
        .filter(|named| !named.is_empty())
        .unwrap_or(OCTET_STREAM)
        .to_ascii_lowercase()
}

/// Parses `v4.20181215` as two numbers.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let (major, day) = version.strip_prefix('v')?.split_once('.')?;
    let number = |digits: &str| {
        digits
            .parse()
            .ok()
            .filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))
    };
    Some((number(major)?, number(day)?))
}

fn has_port(authority: &str) -> bool {
    let after_address = authority.rfind(']').map_or(0, |end| end + 1);
    authority[after_address..].contains(':')
}

#[cfg(test)]
mod tests;
