//! Parses `SigV4` signatures in the query: presigned URLs.

use std::borrow::Cow;

use jiff::SignedDuration;
use percent_encoding::percent_decode_str;

use super::date::AmzDate;
use super::query::SIGNATURE;
use super::{ALGORITHM, SigV4Claim, SignatureLocation, WINDOW};
use crate::authenticate::signature::{Message, SignatureError};
use crate::request::parse_decimal;

/// Longest lifetime of a presigned URL, in seconds: a week.
const LONGEST: i64 = 7 * 24 * 60 * 60;

/// Prefix of all parameters of a signature.
const PREFIX: &str = "X-Amz-";

/// Whether a query contains a signature.
pub fn is_presigned(query: &str) -> bool {
    parameters(query).any(|(name, _)| name == SIGNATURE)
}

/// Returns the access key id in a presigned query, not validated.
pub fn presigned_key(query: &str) -> Option<String> {
    if !is_presigned(query) {
        return None;
    }
    let (_, credential) = parameters(query).find(|(name, _)| *name == "X-Amz-Credential")?;
    let credential = percent_decode_str(credential).decode_utf8().ok()?;
    let key = credential.split('/').next().unwrap_or_default();
    Some(key.to_owned())
}

/// Removes all `X-Amz-` parameters from a query; `None` if nothing is left.
pub fn without_signature(query: &str) -> Option<String> {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|parameter| !parameter.starts_with(PREFIX))
        .collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

impl<'a> SigV4Claim<'a> {
    /// Parses the parameters of a presigned URL.
    pub fn from_query(query: &'a str, message: &Message<'a>) -> Result<Self, SignatureError> {
        const NOT_ONCE: SignatureError =
            SignatureError::Malformed("the query lacks a parameter of the signature, or has it twice");
        let at_most_one = |wanted: &'static str| -> Result<Option<Cow<'a, str>>, SignatureError> {
            let mut found = parameters(query).filter(|(name, _)| *name == wanted);
            match (found.next(), found.next()) {
                (None, _) => Ok(None),
                (Some((_, value)), None) => percent_decode_str(value)
                    .decode_utf8()
                    .map(Some)
                    .map_err(|_| SignatureError::Malformed("a parameter of the signature is not text")),
                (Some(_), Some(_)) => Err(NOT_ONCE),
            }
        };
        let one = |wanted| at_most_one(wanted)?.ok_or(NOT_ONCE);
        if one("X-Amz-Algorithm")? != ALGORITHM {
            return Err(SignatureError::Malformed(
                "X-Amz-Algorithm is another than AWS4-HMAC-SHA256",
            ));
        }
        // Some services do not require it, and their signers omit it.
        let lasts = at_most_one("X-Amz-Expires")?.map_or(Ok(WINDOW), |seconds| lasts(&seconds))?;
        Self::of(
            SignatureLocation::Presigned(lasts),
            one("X-Amz-Credential")?,
            one("X-Amz-SignedHeaders")?,
            &one(SIGNATURE)?,
            AmzDate::parse(&one("X-Amz-Date")?)?,
            message,
        )
    }
}

fn lasts(seconds: &str) -> Result<SignedDuration, SignatureError> {
    let seconds = parse_decimal(seconds);
    let seconds = seconds.filter(|seconds| (1..=LONGEST).contains(seconds));
    seconds
        .map(SignedDuration::from_secs)
        .ok_or(SignatureError::Malformed(
            "X-Amz-Expires is not from 1 to 604800 seconds",
        ))
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}
