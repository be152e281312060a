//! What is kept, as JSON of a version.
//!
//! Each version of a record has a struct of its own that never changes again, so that the model may. A record is read in
//! whatever version it was written and written in the newest. JSON, because a form that goes by position would
//! silently read one field as another when a struct moves.

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

/// What is kept.
pub(in crate::store) trait StoredRecord: Sized {
    /// The record in the newest version: one byte that names that, then JSON.
    fn encode(&self) -> Result<Vec<u8>, StoreError>;

    /// What JSON of this version says.
    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError>;
}

/// Why a record cannot be read. Says nothing of what is in it.
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

/// A record of version 1.
pub(in crate::store) fn version_1<T: Serialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    of_version(1, record)
}

/// A record of a version: its number in a byte, then JSON.
fn of_version<T: Serialize>(version: u8, record: &T) -> Result<Vec<u8>, StoreError> {
    let mut value = vec![version];
    serde_json::to_writer(&mut value, record)
        .map_err(|error| StoreError::Unavailable(format!("a record cannot be written: {error}")))?;
    Ok(value)
}

/// Reads a record of the only version that there is.
pub(in crate::store) fn only_version_1<T: DeserializeOwned>(
    version: u8,
    json: &[u8],
) -> Result<T, RecordError> {
    if version != 1 {
        return Err(RecordError::Version(version));
    }
    read_version(version, json)
}

/// Reads a record of a version that is known.
fn read_version<T: DeserializeOwned>(version: u8, json: &[u8]) -> Result<T, RecordError> {
    serde_json::from_slice(json).map_err(|error| RecordError::Json {
        version,
        column: error.column(),
    })
}

/// A row as version 1 first wrote it is read, and written again to the letter.
#[cfg(test)]
fn assert_version_1_stays<T: StoredRecord>(frozen: &str) {
    assert_version_stays::<T>(1, frozen);
}

/// A row as the newest version first wrote it is read, and written again to the letter.
#[cfg(test)]
fn assert_version_stays<T: StoredRecord>(newest: u8, frozen: &str) {
    let written = T::decode(newest, frozen.as_bytes()).unwrap().encode().unwrap();
    let (version, json) = written.split_first().unwrap();
    assert_eq!(*version, newest);
    let written: serde_json::Value = serde_json::from_slice(json).unwrap();
    let frozen: serde_json::Value = serde_json::from_str(frozen).unwrap();
    assert_eq!(written, frozen);
}
