//! Parses a `SigV4` signature in `Authorization`, and checks which headers it covers.

use std::borrow::Cow;

use http::HeaderName;

use super::date::AmzDate;
use super::payload::Payload;
use super::{SigV4Claim, SignatureLocation};
use crate::authenticate::signature::mac::from_hex;
use crate::authenticate::signature::{Message, SignatureError};
use crate::request::{
    CopySource, acts_for_others, chooses_beside_path, fold, is_plain, names_second_resource,
};

const DATE: &str = "x-amz-date";

/// Headers about the signature, the body or the client, which some clients do not sign.
const MAY_BE_UNSIGNED: [&str; 7] = [
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-security-token",
    "x-amz-te",
    "x-amz-trailer",
    "x-amz-user-agent",
];

/// What the names begin with by which stores of other makes, and Swift, are told what to do: grants, metadata, copies.
const OF_OTHER_STORES: [&str; 26] = [
    "x-account-access-control",
    "x-archive-",
    "x-bce-",
    "x-bz-",
    "x-container-",
    "x-cos-",
    "x-delete-",
    "x-emc-",
    "x-goog-",
    "x-hcp-",
    "x-history-",
    "x-kss-",
    "x-minio-",
    "x-ms-",
    "x-nos-",
    "x-object-",
    "x-obs-",
    "x-oss-",
    "x-qs-",
    "x-remove-container-",
    "x-rgw-",
    "x-storage-",
    "x-tos-",
    "x-ufile-",
    "x-upyun-",
    "x-versions-",
];

/// Words by which the other names of such headers are known: who may do what, and what is kept beside an object.
const OF_ANY_STORE: [&str; 4] = ["acl", "grant", "meta", "tagging"];

/// Headers of those names by which clients and what measures them tell requests apart.
const OF_CLIENTS: [&str; 5] = [
    "x-goog-api-client",
    "x-ms-client-request-id",
    "x-ms-date",
    "x-ms-request-id",
    "x-ms-request-root-id",
];

/// Most query parameters: they are sorted before the key is known.
const MOST_PARAMETERS: usize = 4096;

/// Most signed headers.
const MOST_HEADERS: usize = 128;

impl<'a> SigV4Claim<'a> {
    /// Parses what follows the scheme in `Authorization`.
    pub fn from_header(parameters: &'a str, message: &Message<'a>) -> Result<Self, SignatureError> {
        let [credential, signed_headers, signature] = fields(parameters)?;
        let is_signed = |wanted: &str| signed_headers.split(';').any(|name| name == wanted);
        let date = match message.only(DATE)? {
            Some(_) if !is_signed(DATE) => return Err(SignatureError::NotSigned(DATE.into())),
            Some(text) => AmzDate::parse(text)?,
            None if !is_signed("date") => return Err(SignatureError::NotSigned(DATE.into())),
            None => AmzDate::parse_http(message.only("date")?.unwrap_or_default())?,
        };
        Self::of(
            SignatureLocation::Header,
            credential.into(),
            signed_headers.into(),
            signature,
            date,
            message,
        )
    }

    /// Parses what both forms have in common.
    pub(super) fn of(
        form: SignatureLocation,
        credential: Cow<'a, str>,
        signed_headers: Cow<'a, str>,
        signature: &str,
        date: AmzDate,
        message: &Message<'_>,
    ) -> Result<Self, SignatureError> {
        require_scope(&credential, &date)?;
        require_headers(form, &signed_headers, message)?;
        require_few_parameters(message.query.unwrap_or_default())?;
        Ok(Self {
            form,
            credential,
            signed_headers,
            signature: from_hex(signature)
                .ok_or(SignatureError::Malformed("the signature is not a SHA-256"))?,
            date,
            payload: Payload::of(message)?,
        })
    }
}

/// Returns the three fields, each once, in any order.
fn fields(parameters: &str) -> Result<[&str; 3], SignatureError> {
    const NAMES: [&str; 3] = ["Credential", "SignedHeaders", "Signature"];
    let mut fields = [None; 3];
    for field in parameters.split(',') {
        let (name, value) = field.trim().split_once('=').ok_or(SignatureError::Malformed(
            "the Authorization header has a field without a value",
        ))?;
        let place = NAMES.iter().position(|known| *known == name);
        let place = place.and_then(|index| fields.get_mut(index));
        match place {
            Some(empty @ None) => *empty = Some(value),
            _ => {
                return Err(SignatureError::Malformed(
                    "the Authorization header has a field too many",
                ));
            }
        }
    }
    match fields {
        [Some(credential), Some(signed), Some(signature)] => Ok([credential, signed, signature]),
        _ => Err(SignatureError::Malformed(
            "the Authorization header lacks Credential, SignedHeaders or Signature",
        )),
    }
}

/// Refuses a credential that is not for the day of the date.
fn require_scope(credential: &str, date: &AmzDate) -> Result<(), SignatureError> {
    let mut parts = credential.split('/');
    let parts: [Option<&str>; 6] = std::array::from_fn(|_| parts.next());
    match parts {
        [
            Some(key),
            Some(day),
            Some(region),
            Some(service),
            Some("aws4_request"),
            None,
        ] if !key.is_empty() && !region.is_empty() && !service.is_empty() => {
            if day == date.day() {
                Ok(())
            } else {
                Err(SignatureError::Malformed(
                    "the credential is for another day than the date",
                ))
            }
        }
        _ => Err(SignatureError::Malformed(
            "the credential is not key/day/region/service/aws4_request",
        )),
    }
}

fn require_few_parameters(query: &str) -> Result<(), SignatureError> {
    if memchr::memchr_iter(b'&', query.as_bytes()).count() < MOST_PARAMETERS {
        Ok(())
    } else {
        Err(SignatureError::Malformed(
            "the query has more than 4096 parameters",
        ))
    }
}

/// Requires that the host and all headers that direct the upstream are signed, and that the signed names are
/// lower-case, unique and present.
fn require_headers(
    form: SignatureLocation,
    names: &str,
    message: &Message<'_>,
) -> Result<(), SignatureError> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase())
    };
    let mut has_host = false;
    for (index, name) in names.split(';').enumerate() {
        if index >= MOST_HEADERS || !is_name(name) || names.split(';').take(index).any(|other| other == name)
        {
            return Err(SignatureError::Malformed(
                "SignedHeaders does not list names in lower case, each once",
            ));
        }
        if name == "host" {
            has_host = true;
        } else if !message.headers.contains_key(name) {
            return Err(SignatureError::Missing(name.into()));
        }
    }
    if !has_host {
        return Err(SignatureError::NotSigned("host".into()));
    }
    // As with AWS, headers that direct the upstream must be signed: otherwise the holder of a presigned URL
    // could make it copy, move or delete something else.
    let of_aws = |name: &HeaderName| {
        let reads_so =
            name.as_str().starts_with("x-amz-") || !is_plain(name) && fold(name).starts_with("x-amz-");
        reads_so && !MAY_BE_UNSIGNED.contains(&name.as_str())
    };
    let tells = |name: &&HeaderName| {
        of_aws(name)
            || match form {
                SignatureLocation::Header => CopySource::of(name).is_some(),
                SignatureLocation::Presigned(_) => {
                    names_second_resource(name)
                        || chooses_beside_path(name)
                        || acts_for_others(name)
                        || tells_store(name)
                }
            }
    };
    let mut telling = message.headers.keys().filter(tells).map(HeaderName::as_str);
    match telling.find(|telling| !names.split(';').any(|name| name == *telling)) {
        Some(name) => Err(SignatureError::NotSigned(name.into())),
        None => Ok(()),
    }
}

/// Whether some store takes a header of this name, or could by what the name says, for what it is to do.
fn tells_store(name: &HeaderName) -> bool {
    let folded = if is_plain(name) {
        Cow::Borrowed(name.as_str())
    } else {
        fold(name).into()
    };
    let Some(words) = folded.strip_prefix("x-") else {
        return false;
    };
    // The first word is the store's; an application has an `x-meta` of its own.
    let mut words = words.split('-').skip(1);
    let is_told = OF_OTHER_STORES.iter().any(|known| folded.starts_with(known))
        || words.any(|word| OF_ANY_STORE.contains(&word));
    is_told && !OF_CLIENTS.contains(&name.as_str())
}
