//! The values of rows: a version byte, then JSON.

use serde::{Deserialize, Serialize};

use super::schema::RowKind;
use crate::ids::AccountId;
use crate::model::TokenDigest;
use crate::store::StoreError;
use crate::store::record::{only_version_1, version_1};

pub(super) use crate::store::record::{
    Failures, MailQuota, Meta, RecordError, Run, SpentUntil, StoredRecord, UnknownFailures,
};

/// Decodes the value of the row with this key.
pub(super) fn decode<T: StoredRecord>(key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    let (version, json) = value.split_first().ok_or(RecordError::Empty).map_err(at(key))?;
    T::decode(*version, json).map_err(at(key))
}

/// Names a row for error messages.
pub(super) fn name(key: &[u8]) -> String {
    let Some((first, rest)) = key.split_first() else {
        return "the row without a key".to_owned();
    };
    match RowKind::of(key) {
        Some(kind @ (RowKind::Email | RowKind::Username | RowKind::OtherUsername | RowKind::MailQuota)) => {
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

/// Index rows that point to an account.
impl StoredRecord for AccountId {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1(version, json)
    }
}

/// Index rows of usernames: the account, or `None` for a retired username.
impl StoredRecord for Option<AccountId> {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1(version, json)
    }
}

/// Index rows that point to a session, an invitation or an e-mail token.
impl StoredRecord for TokenDigest {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1(version, json)
    }
}

/// Index rows that have all in their key.
impl StoredRecord for () {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1(version, json)
    }
}

/// The version of index rows; another version than the program's has them rebuilt.
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

/// How many index rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct RowCount(pub(super) u64);

impl From<RowCount> for usize {
    fn from(RowCount(count): RowCount) -> Self {
        Self::try_from(count).unwrap_or(Self::MAX)
    }
}

impl StoredRecord for RowCount {
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
