//! Values: a record, behind the byte that names its version.

use serde::{Deserialize, Serialize};

use super::key::RowKind;
use crate::ids::AccountId;
use crate::model::TokenDigest;
use crate::store::StoreError;
use crate::store::record::{only_version_1, version_1};

pub(super) use crate::store::record::{
    Failures, MailQuota, Meta, RecordError, Run, SpentUntil, StoredRecord, UnknownFailures,
};

/// Reads the value of the row with this key.
pub(super) fn decode<T: StoredRecord>(key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    let (version, json) = value.split_first().ok_or(RecordError::Empty).map_err(at(key))?;
    T::decode(*version, json).map_err(at(key))
}

/// The row with this key, for people.
pub(super) fn name(key: &[u8]) -> String {
    let Some((first, rest)) = key.split_first() else {
        return "the row without a key".to_owned();
    };
    match RowKind::of(key) {
        Some(kind @ (RowKind::Email | RowKind::Username | RowKind::MailQuota)) => {
            format!("{kind:?} {}", String::from_utf8_lossy(rest).escape_debug())
        }
        Some(kind) => format!("{kind:?} {}", hex(rest)),
        None => format!("row {first:02x}{}", hex(rest)),
    }
}

fn at(key: &[u8]) -> impl FnOnce(RecordError) -> StoreError {
    move |why| StoreError::Corrupt(format!("{}: {why}", name(key)))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Indexes that point to an account, and do not outlive it.
impl StoredRecord for AccountId {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1(version, json)
    }
}

/// Usernames: whose they are, or that they were somebody's.
impl StoredRecord for Option<AccountId> {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1(version, json)
    }
}

/// Indexes that point to a session, an invitation or a mailed token.
impl StoredRecord for TokenDigest {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1(version, json)
    }
}

/// Rows that say all in their key.
impl StoredRecord for () {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1(version, json)
    }
}

/// The form of rows that are made from others, and made anew when the program has another form for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct IndexForm(pub(super) u32);

impl StoredRecord for IndexForm {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1(version, json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::random::Random;

    fn read<T: StoredRecord>(value: &[u8]) -> Result<T, StoreError> {
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
