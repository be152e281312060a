//! Values: a record, behind the byte that names its version.

use serde::{Deserialize, Serialize};

use super::key::Kind;
use crate::ids::AccountId;
use crate::model::TokenDigest;
use crate::store::StoreError;
use crate::store::record::{only_version_1, version_1};

pub(super) use crate::store::record::{
    Failures, Lock, Malformed, Meta, Postage, Record, Run, SpentUntil, UnknownFailures,
};

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

/// The form of rows that are made from others, and made anew when the program has another form for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct IndexForm(pub(super) u32);

impl Record for IndexForm {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, Malformed> {
        only_version_1(version, json)
    }
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
