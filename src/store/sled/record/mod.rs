//! Values: one byte that names the version, then JSON.
//!
//! Each version of a row has a struct of its own that never changes again, so that the model may. A row is read in
//! whatever version it was written and written in the newest. JSON, because a form that goes by position would
//! silently read one field as another when a struct moves.

mod access_key;
mod account;
mod attempts;
mod audit;
mod invitation;
mod mail;
mod mailed_token;
mod meta;
mod session;
mod signature;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::key::Kind;
use crate::ids::AccountId;
use crate::model::TokenDigest;
use crate::store::StoreError;

pub(super) use attempts::{Failures, Lock, Run, UnknownFailures};
pub(super) use mail::Postage;
pub(super) use meta::{IndexForm, Meta};
pub(super) use signature::SpentUntil;

/// What a row holds.
pub(super) trait Record: Sized {
    /// The row's value, in the newest version.
    fn encode(&self) -> Result<Vec<u8>, StoreError>;

    /// What a value of this version holds.
    fn decode(version: u8, json: &[u8]) -> Result<Self, Malformed>;
}

/// Why a value cannot be read. Says nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it is empty")]
    Empty,
    #[error("its version {0} is not known")]
    Version(u8),
    #[error("it is not what version {version} looks like (column {column})")]
    Json { version: u8, column: usize },
    #[error("its {0} is not one")]
    Field(&'static str),
}

/// Reads the value of the row with this key.
pub(super) fn decode<T: Record>(key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    let (version, json) = value.split_first().ok_or(Malformed::Empty).map_err(at(key))?;
    T::decode(*version, json).map_err(at(key))
}

/// The row with this key, for people.
pub(super) fn name(key: &[u8]) -> String {
    let Some((first, rest)) = key.split_first() else {
        return "the row without a key".to_owned();
    };
    match Kind::of(key) {
        Some(kind @ (Kind::Email | Kind::Username | Kind::Postage)) => {
            format!("{kind:?} {}", String::from_utf8_lossy(rest).escape_debug())
        }
        Some(kind) => format!("{kind:?} {}", hex(rest)),
        None => format!("row {first:02x}{}", hex(rest)),
    }
}

fn at(key: &[u8]) -> impl FnOnce(Malformed) -> StoreError {
    move |why| StoreError::Corrupt(format!("{}: {why}", name(key)))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A value of version 1.
fn version_1<T: Serialize>(row: &T) -> Result<Vec<u8>, StoreError> {
    write(1, row)
}

/// A value of some version.
fn write<T: Serialize>(version: u8, row: &T) -> Result<Vec<u8>, StoreError> {
    let mut value = vec![version];
    serde_json::to_writer(&mut value, row)
        .map_err(|error| StoreError::Unavailable(format!("a record cannot be written: {error}")))?;
    Ok(value)
}

/// What a value of the only version that there is holds.
fn only_version_1<T: DeserializeOwned>(version: u8, json: &[u8]) -> Result<T, Malformed> {
    match version {
        1 => read(version, json),
        _ => Err(Malformed::Version(version)),
    }
}

/// What a value holds, as the struct of its version says.
fn read<T: DeserializeOwned>(version: u8, json: &[u8]) -> Result<T, Malformed> {
    serde_json::from_slice(json).map_err(|error| Malformed::Json {
        version,
        column: error.column(),
    })
}

/// Indexes that point to an account, and do not outlive it.
impl Record for AccountId {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, Malformed> {
        only_version_1(version, json)
    }
}

/// Usernames: whose they are, or that they were somebody's.
impl Record for Option<AccountId> {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, Malformed> {
        only_version_1(version, json)
    }
}

/// Indexes that point to a session, an invitation or a mailed token.
impl Record for TokenDigest {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, Malformed> {
        only_version_1(version, json)
    }
}

/// Rows that say all in their key.
impl Record for () {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, Malformed> {
        only_version_1(version, json)
    }
}

/// A row as version 1 first wrote it is read, and written again to the letter.
#[cfg(test)]
fn assert_version_1_stays<T: Record>(frozen: &str) {
    let written = T::decode(1, frozen.as_bytes()).unwrap().encode().unwrap();
    let (version, json) = written.split_first().unwrap();
    assert_eq!(*version, 1);
    let written: serde_json::Value = serde_json::from_slice(json).unwrap();
    let frozen: serde_json::Value = serde_json::from_str(frozen).unwrap();
    assert_eq!(written, frozen);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::random::Random;

    fn read<T: Record>(value: &[u8]) -> Result<T, StoreError> {
        decode(b"ax", value)
    }

    #[test]
    fn what_was_written_is_read() {
        let (clock, _) = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let id = AccountId::new(clock.now(), &Random::seeded(1));
        assert_eq!(read::<AccountId>(&id.encode().unwrap()).unwrap(), id);
    }

    #[test]
    fn what_cannot_be_read_is_corrupt_and_its_content_stays_untold() {
        let values: [&[u8]; 5] = [b"", b"\x01", b"\x02{}", b"\x01{\"hunter2\":1}", b"\xff\xff"];
        for value in values {
            let error = read::<AccountId>(value).unwrap_err();
            let StoreError::Corrupt(text) = error else {
                panic!("{error:?}")
            };
            assert!(text.starts_with("Account 78: "), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
