//! The encoding of stored rows: a version byte, then JSON.
//!
//! Each version of a row has a struct of its own that never changes, so that the model may. A row is read in
//! the version in which it was written, and written in the newest. JSON, because a positional format would
//! silently confuse fields when a struct is reordered. The many rows, those of accounts and of audit events, leave out what
//! is absent.

mod access_key;
mod account;
mod attempts;
mod audit;
mod email_token;
mod invitation;
mod mail;
mod meta;
mod session;
mod signature;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::StoreError;

pub(in crate::store) use attempts::{Failures, Run, StoredLock, UnknownFailures};
pub(in crate::store) use mail::MailQuota;
pub(in crate::store) use meta::Meta;
pub(in crate::store) use signature::SpentUntil;

/// A value that is stored as a row.
pub(in crate::store) trait StoredRecord: Sized {
    /// Encodes in the newest version: the version byte, then JSON.
    fn encode(&self) -> Result<Vec<u8>, StoreError>;

    /// Decodes JSON of this version.
    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError>;
}

/// Why a row cannot be decoded. Never quotes its content.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum RecordError {
    #[error("it is empty")]
    Empty,
    #[error("its version {0} is not known")]
    Version(u8),
    #[error("it is not what version {version} looks like (column {column})")]
    Json { version: u8, column: usize },
    #[error("its {0} is not one")]
    Field(&'static str),
}

/// Encodes a row of version 1.
pub(in crate::store) fn version_1<T: Serialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    let mut value = vec![1];
    serde_json::to_writer(&mut value, record)
        .map_err(|error| StoreError::Unavailable(format!("a record cannot be written: {error}")))?;
    Ok(value)
}

/// Decodes a row of which version 1 is the only one.
pub(in crate::store) fn only_version_1<T: DeserializeOwned>(
    version: u8,
    json: &[u8],
) -> Result<T, RecordError> {
    if version != 1 {
        return Err(RecordError::Version(version));
    }
    serde_json::from_slice(json).map_err(|error| RecordError::Json {
        version,
        column: error.column(),
    })
}

/// Asserts that a row of version 1 decodes and encodes to its frozen JSON without what is `left_out`: it is absent.
#[cfg(test)]
fn assert_version_1_stays<T: StoredRecord>(frozen: &str, left_out: &[&str]) {
    let written = T::decode(1, frozen.as_bytes()).unwrap().encode().unwrap();
    let (version, json) = written.split_first().unwrap();
    assert_eq!(*version, 1);
    assert_eq!(T::decode(1, json).unwrap().encode().unwrap(), written);
    let written: serde_json::Value = serde_json::from_slice(json).unwrap();
    let mut frozen: serde_json::Value = serde_json::from_str(frozen).unwrap();
    for field in left_out {
        frozen.as_object_mut().unwrap().remove(*field).unwrap();
    }
    assert_eq!(written, frozen);
}
