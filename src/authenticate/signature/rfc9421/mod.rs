//! HTTP Message Signatures (RFC 9421) with `hmac-sha256`.
//!
//! Of a request's signatures, the one whose `keyid` is an access key is verified. It must cover the method,
//! the host, the whole target and, by `Content-Digest` (RFC 9530), the body, and have a creation time.

mod components;

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use sfv::{BareItem, Dictionary, InnerList, ListEntry, ListSerializer, Parameters, Parser};
use sha2::{Digest, Sha256};

use super::content_digest::{self, ContentDigest};
use super::{Message, Mismatch, SignatureError, mac};
use components::Components;

/// The header with the covered components.
pub const SIGNATURE_INPUT: &str = "signature-input";
/// The header with the signatures.
pub const SIGNATURE: &str = "signature";

const ALGORITHM: &str = "hmac-sha256";

/// Largest difference between the time of signing and now.
const WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// The parsed parameters of a signature.
#[derive(Clone, Debug)]
pub struct MessageClaim {
    access_key: String,
    components: Components,
    /// Components and parameters, re-serialized (RFC 9421, section 2.3).
    parameters: String,
    signature: [u8; 32],
    created: Timestamp,
    expires: Option<Timestamp>,
    content_digest: Option<ContentDigest>,
}

/// A valid signature.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedMessage {
    /// The signature's bytes.
    pub signature: [u8; 32],
    /// When the signature becomes invalid.
    pub until: Timestamp,
}

impl MessageClaim {
    /// Parses the signature by an access key; `None` if there is none. `is_ours` tells whether a `keyid` has
    /// the form of an access key id.
    pub fn of(message: &Message<'_>, is_ours: impl Fn(&str) -> bool) -> Result<Option<Self>, SignatureError> {
        let inputs = dictionary(message, SIGNATURE_INPUT)?;
        let mut ours = inputs.iter().filter_map(|(label, input)| {
            let ListEntry::InnerList(list) = input else {
                return None;
            };
            let key = text(&list.params, "keyid").filter(|key| is_ours(key))?;
            Some((label, input, list, key))
        });
        let (label, input, list, key) = match (ours.next(), ours.next()) {
            (None, _) => return Ok(None),
            (Some(one), None) => one,
            (Some(_), Some(_)) => return Err(SignatureError::Several),
        };
        let signatures = dictionary(message, SIGNATURE)?;
        let signature = match signatures.get(label.as_str()) {
            Some(ListEntry::Item(item)) => match &item.bare_item {
                BareItem::ByteSequence(bytes) => bytes.as_slice().try_into().ok(),
                _ => None,
            },
            _ => None,
        };
        let signature = signature.ok_or(SignatureError::Malformed(
            "Signature has no HMAC-SHA256 for its input",
        ))?;
        Self::read(message, input, list, key, signature).map(Some)
    }

    fn read(
        message: &Message<'_>,
        input: &ListEntry,
        list: &InnerList,
        key: &str,
        signature: [u8; 32],
    ) -> Result<Self, SignatureError> {
        if list.params.contains_key("alg") && text(&list.params, "alg") != Some(ALGORITHM) {
            return Err(SignatureError::Malformed("alg is another than \"hmac-sha256\""));
        }
        let components = Components::read(list, message)?;
        components.require_request(message)?;
        let content_digest = if components.cover(content_digest::HEADER) {
            let value = message.only(content_digest::HEADER)?;
            Some(ContentDigest::parse(value.unwrap_or_default())?)
        } else {
            None
        };
        let mut parameters = ListSerializer::new();
        parameters.members([input]);
        Ok(Self {
            access_key: key.to_owned(),
            components,
            parameters: parameters.finish().unwrap_or_default(),
            signature,
            created: time(&list.params, "created")?.ok_or(SignatureError::NotSigned("created".into()))?,
            expires: time(&list.params, "expires")?,
            content_digest,
        })
    }

    /// Returns the access key id.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Returns the digest of the body, if that is covered.
    pub fn content_digest(&self) -> Option<&ContentDigest> {
        self.content_digest.as_ref()
    }

    /// Refuses a signature that is too old, too far in the future, or expired.
    pub fn require_time(&self, now: Timestamp) -> Result<(), SignatureError> {
        let age = now.duration_since(self.created);
        if age.abs() > WINDOW {
            return Err(SignatureError::Clock(age.as_secs()));
        }
        match self.expires.map(|expires| now.duration_since(expires)) {
            Some(over) if over >= SignedDuration::ZERO => Err(SignatureError::Expired(over.as_secs())),
            _ => Ok(()),
        }
    }

    /// Verifies the signature with this secret.
    pub fn verify(&self, message: &Message<'_>, secret: &str) -> Result<VerifiedMessage, Mismatch> {
        let base = self.components.base(message, &self.parameters);
        if !mac::same(&mac::hmac_sha256(secret.as_bytes(), &[&base]), &self.signature) {
            return Err(Mismatch {
                canonical: Sha256::digest(&base).into(),
            });
        }
        let until = self.created.checked_add(WINDOW).unwrap_or(Timestamp::MAX);
        Ok(VerifiedMessage {
            signature: self.signature,
            until: self.expires.map_or(until, |expires| until.min(expires)),
        })
    }
}

/// Parses all lines of a header as one dictionary.
fn dictionary(message: &Message<'_>, name: &str) -> Result<Dictionary, SignatureError> {
    const UNREADABLE: SignatureError =
        SignatureError::Malformed("Signature-Input or Signature is not a dictionary");
    let lines: Vec<&[u8]> = message
        .headers
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    Parser::new(&lines.join(b", ".as_slice()))
        .parse()
        .map_err(|_| UNREADABLE)
}

fn text<'p>(parameters: &'p Parameters, name: &str) -> Option<&'p str> {
    match parameters.get(name) {
        Some(BareItem::String(text)) => Some(text.as_str()),
        _ => None,
    }
}

fn time(parameters: &Parameters, name: &str) -> Result<Option<Timestamp>, SignatureError> {
    const NO_TIME: SignatureError = SignatureError::Malformed("created or expires is not a time in seconds");
    match parameters.get(name) {
        None => Ok(None),
        Some(BareItem::Integer(seconds)) => {
            let time = Timestamp::from_second(i64::from(*seconds));
            time.map(Some).map_err(|_| NO_TIME)
        }
        Some(_) => Err(NO_TIME),
    }
}

#[cfg(test)]
mod tests;
