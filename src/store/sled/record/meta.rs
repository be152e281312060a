//! What the store knows of itself.

use serde::{Deserialize, Serialize};

use super::{Malformed, Record, only_version_1, version_1};
use crate::store::StoreError;

/// Made with the store, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::sled) struct Meta {
    /// Decides which slots of the table of unknown names a name can have, so that nobody outside can choose
    /// names that push a certain one out.
    pub(in crate::store::sled) slot_key: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetaV1 {
    slot_key: [u8; 32],
}

impl Record for Meta {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(&MetaV1 {
            slot_key: self.slot_key,
        })
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, Malformed> {
        let MetaV1 { slot_key } = only_version_1(version, json)?;
        Ok(Self { slot_key })
    }
}

/// The form of rows that are made from others, and made anew when the program has another form for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::store::sled) struct IndexForm(pub(in crate::store::sled) u32);

impl Record for IndexForm {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(self)
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, Malformed> {
        only_version_1(version, json)
    }
}
