//! Parses the credentials that a request presents: `Authorization`, a presigned query, or a message
//! signature.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use jiff::Timestamp;

use super::signature::{Message, SignatureError, backendai, rfc9421, sigv4, version2};
use crate::model::AccessKeyId;
use crate::secret::Secret;

const BASIC: &str = "Basic";

/// Accepts missing padding and non-zero trailing bits, as most servers do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The one proof that a request presents, not verified yet.
#[derive(Debug)]
pub(super) enum PresentedCredentials<'h> {
    /// A signature.
    Signed(SignedClaim<'h>),
    /// An access key and its secret: `Basic`.
    Basic(BasicCredentials),
}

/// The parsed parameters of a signature, not verified yet.
#[derive(Debug)]
pub(super) enum SignedClaim<'h> {
    SigV4(sigv4::SigV4Claim<'h>),
    BackendAi(backendai::BackendAiClaim<'h>),
    Message(Box<rfc9421::MessageClaim>),
}

/// `key:secret`, where the key has the form of an access key id.
#[derive(Debug)]
pub(super) struct BasicCredentials(Secret<Vec<u8>>);

/// An `Authorization` value for the gateway; any other is for the upstream.
enum AuthorizationScheme<'h> {
    SigV4(&'h str),
    BackendAi(&'h str),
    Basic(BasicCredentials),
}

impl<'h> PresentedCredentials<'h> {
    /// Parses the one proof of a request. More than one is an error (S37).
    pub(super) fn of(message: &Message<'h>) -> Result<Option<Self>, SignatureError> {
        let mut authorizations = message.headers.get_all(AUTHORIZATION).iter();
        let mut ours = None;
        let mut count = 0;
        for value in authorizations.by_ref() {
            count += 1;
            if let Some(found) = AuthorizationScheme::of(value)? {
                ours = Some(found);
            }
        }
        let in_query = message.query.filter(|query| sigv4::is_presigned(query));
        let is_ours = |id: &str| AccessKeyId::parse(id.as_bytes()).is_ok();
        let in_message = if message.headers.contains_key(rfc9421::SIGNATURE_INPUT) {
            rfc9421::MessageClaim::of(message, is_ours)?
        } else {
            None
        };
        match (ours, in_query, in_message) {
            (None, None, None) if message.query.is_some_and(|query| version2::is_in(query, is_ours)) => {
                Err(SignatureError::Version2)
            }
            (None, None, None) => Ok(None),
            (Some(_), None, None) if count > 1 => Err(SignatureError::Several),
            (Some(AuthorizationScheme::Basic(pair)), None, None) => Ok(Some(Self::Basic(pair))),
            (Some(AuthorizationScheme::SigV4(parameters)), None, None) => {
                let claim = sigv4::SigV4Claim::from_header(parameters, message)?;
                Ok(Some(Self::Signed(SignedClaim::SigV4(claim))))
            }
            (Some(AuthorizationScheme::BackendAi(parameters)), None, None) => {
                let claim = backendai::BackendAiClaim::of(parameters, message)?;
                Ok(Some(Self::Signed(SignedClaim::BackendAi(claim))))
            }
            (None, Some(query), None) => {
                let claim = sigv4::SigV4Claim::from_query(query, message)?;
                Ok(Some(Self::Signed(SignedClaim::SigV4(claim))))
            }
            (None, None, Some(claim)) => Ok(Some(Self::Signed(SignedClaim::Message(Box::new(claim))))),
            _ => Err(SignatureError::Several),
        }
    }
}

impl<'h> AuthorizationScheme<'h> {
    fn of(value: &'h HeaderValue) -> Result<Option<Self>, SignatureError> {
        let bytes = value.as_bytes().trim_ascii();
        let (scheme, rest) = parts(bytes);
        let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
        let parameters = || {
            let text = std::str::from_utf8(rest).ok().filter(|text| text.is_ascii());
            text.map(str::trim).ok_or(SignatureError::Malformed(
                "the Authorization header is not in ASCII",
            ))
        };
        Ok(if is(sigv4::ALGORITHM) {
            Some(Self::SigV4(parameters()?))
        } else if is(backendai::SCHEME) {
            Some(Self::BackendAi(parameters()?))
        } else if is(BASIC) {
            BasicCredentials::parse(rest).map(Self::Basic)
        } else if is(version2::SCHEME) && version2::names_key(rest) {
            return Err(SignatureError::Version2);
        } else {
            None
        })
    }
}

/// Splits the scheme from what follows it.
fn parts(value: &[u8]) -> (&[u8], &[u8]) {
    let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t'));
    value.split_at(end.unwrap_or(value.len()))
}

impl BasicCredentials {
    fn parse(base64: &[u8]) -> Option<Self> {
        let pair = Self(Secret::new(BASE64.decode(base64.trim_ascii()).ok()?));
        AccessKeyId::parse(pair.access_key()).ok()?;
        Some(pair)
    }

    /// Whether the most lenient decoders find an access key here: they skip invalid characters and accept
    /// both alphabets.
    fn begins_leniently(base64: &[u8]) -> bool {
        let digits = base64.iter().filter_map(|&byte| digit(byte));
        let id_and_colon: Vec<u8> = digits.take((AccessKeyId::LENGTH + 1).div_ceil(3) * 4).collect();
        let decoded = BASE64.decode(id_and_colon).unwrap_or_default();
        matches!(decoded.split_last(), Some((b':', id)) if AccessKeyId::parse(id).is_ok())
    }

    pub(super) fn access_key(&self) -> &[u8] {
        self.halves().0
    }

    pub(super) fn secret(&self) -> &[u8] {
        self.halves().1
    }

    fn halves(&self) -> (&[u8], &[u8]) {
        let pair = self.0.expose().as_slice();
        let colon = pair.iter().position(|byte| *byte == b':').unwrap_or(pair.len());
        (&pair[..colon], pair.get(colon + 1..).unwrap_or_default())
    }
}

impl SignedClaim<'_> {
    /// Returns the access key id, not validated.
    pub(super) fn access_key(&self) -> &str {
        match self {
            Self::SigV4(claim) => claim.access_key(),
            Self::BackendAi(claim) => claim.access_key(),
            Self::Message(claim) => claim.access_key(),
        }
    }

    /// Whether the signature is in the query, so that anyone with the URL can make the request.
    pub(super) fn is_in_query(&self) -> bool {
        matches!(self, Self::SigV4(claim) if claim.is_in_query())
    }

    pub(super) fn require_time(&self, now: Timestamp) -> Result<(), SignatureError> {
        match self {
            Self::SigV4(claim) => claim.require_time(now),
            Self::BackendAi(claim) => claim.require_time(now),
            Self::Message(claim) => claim.require_time(now),
        }
    }
}

/// Whether some server could read an access key's secret in this value of `Authorization`: after the scheme's
/// name, wherever it stands and whatever follows it.
pub(super) fn is_secret(value: &[u8]) -> bool {
    let mut places = value.windows(BASIC.len());
    let Some(scheme) = places.position(|place| place.eq_ignore_ascii_case(BASIC.as_bytes())) else {
        return false;
    };
    let rest = &value[scheme + BASIC.len()..];
    let begins = |at: usize| digit(rest[at]).is_some() && (at == 0 || digit(rest[at - 1]).is_none());
    (0..rest.len()).any(|at| begins(at) && BasicCredentials::begins_leniently(&rest[at..]))
}

/// Returns a base64 digit in the standard alphabet; `None` for other bytes.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        b'+' | b'/' => Some(byte),
        _ => byte.is_ascii_alphanumeric().then_some(byte),
    }
}

/// Whether a query is presigned with an id of the form of an access key, so that its signature is for the
/// gateway.
pub(super) fn is_signed_query(query: &str) -> bool {
    sigv4::presigned_key(query).is_some_and(|key| AccessKeyId::parse(key.as_bytes()).is_ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    const AWS: &str = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20150830/us-east-1/s3/aws4_request, \
                       SignedHeaders=host;x-amz-date, \
                       Signature=0000000000000000000000000000000000000000000000000000000000000000";
    // AKIAIOSFODNN7EXAMPLE:secret, and ann:secret
    const KEY: &str = "Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0";
    const PASSWORD: &str = "Basic YW5uOnNlY3JldA==";

    fn present(
        authorizations: &[&str],
        query: Option<&str>,
        input: Option<&str>,
    ) -> Result<String, SignatureError> {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-date", "20150830T123600Z".parse().unwrap());
        for value in authorizations {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        if let Some(input) = input {
            headers.insert(rfc9421::SIGNATURE_INPUT, input.parse().unwrap());
        }
        let message = Message {
            method: "GET",
            authority: "gw.example.com",
            path: "/",
            query,
            headers: &headers,
        };
        PresentedCredentials::of(&message).map(|presented| match presented {
            None => "nothing".to_owned(),
            Some(PresentedCredentials::Basic(pair)) => String::from_utf8_lossy(pair.secret()).into_owned(),
            Some(PresentedCredentials::Signed(claim)) => claim.access_key().to_owned(),
        })
    }

    #[test]
    fn what_is_for_the_gateway_and_what_for_an_application() {
        for (authorizations, found) in [
            ([].as_slice(), "nothing"),
            (&["Bearer x"], "nothing"),
            (&["Bearer x", "Bearer y"], "nothing"),
            (&[PASSWORD], "nothing"),
            (&["Basic %"], "nothing"),
            (&[KEY], "secret"),
            (&["Basic\tQUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0"], "secret"),
            (&["Basic \t QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2Vj"], "sec"),
            (&["Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0cw"], "secrets"),
            (&["Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0cw=="], "secrets"),
            (&[AWS], "AKIAIOSFODNN7EXAMPLE"),
        ] {
            assert_eq!(
                present(authorizations, None, None).unwrap(),
                found,
                "{authorizations:?}"
            );
        }
        assert_eq!(
            present(&[&KEY.replace("Basic", "bASIC  ")], None, None).unwrap(),
            "secret"
        );
        let others = Some("sig=(\"@method\");keyid=\"somebody\"");
        assert_eq!(present(&["Bearer x"], None, others).unwrap(), "nothing");
    }

    #[test]
    fn s39_a_secret_is_one_however_it_is_spelled() {
        for value in [
            KEY,
            "bASIC\tQUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0",
            "Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0cw",
            "Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0cx==",
            "Basic QUtJQUlPU0ZPRE5O N0VYQU1QTEU6c2VjcmV0cw",
            "Basic \"QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0\"",
            "Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0cwA",
            "Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6_-_-",
            "Basic:QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0",
            "Basic=QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0",
            "Basic,QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0",
            "x, Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0",
            "Bearer x, basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0, y",
            "\"Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0\"",
            "Basic realm=\"x\", QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0",
            "Basic YW5uOnNlY3JldA==, Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0",
            "Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6",
        ] {
            assert!(is_secret(value.as_bytes()), "{value}");
        }
        for value in [
            PASSWORD,
            "Basic",
            "Basic ",
            "Bearer QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0",
            "x, Basic YW5uOnNlY3JldA==",
            "Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU=",
            "Basic QUtJQUlPU0ZPRE5ON0VYQU1QTE",
        ] {
            assert!(!is_secret(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn a_signature_of_version_2_by_one_of_our_keys_is_named() {
        let query = Some("AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=x%3D&Expires=1");
        assert_eq!(present(&[], query, None), Err(SignatureError::Version2));
        assert_eq!(
            present(&["AWS AKIAIOSFODNN7EXAMPLE:x="], None, None),
            Err(SignatureError::Version2)
        );
        let others = Some("AWSAccessKeyId=minioadmin&Signature=x%3D&Expires=1");
        assert_eq!(present(&["AWS minioadmin:x="], others, None).unwrap(), "nothing");
    }

    #[test]
    fn s37_two_proofs_are_none() {
        let query = Some("a=1&X-Amz-Signature=00");
        for (authorizations, query) in [
            ([AWS, AWS].as_slice(), None),
            (&[AWS, KEY], None),
            (&[AWS, "Bearer x"], None),
            (&["Bearer x", KEY], None),
            (&[AWS], query),
            (&[KEY], query),
        ] {
            let presented = present(authorizations, query, None);
            assert_eq!(
                presented,
                Err(SignatureError::Several),
                "{authorizations:?} {query:?}"
            );
        }
    }
}
