//! What the store knows of itself.

use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, only_version_1, version_1};
use crate::store::StoreError;

/// Made with the store, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Meta {
    /// Decides which slots of the table of unknown names a name can have, so that nobody outside can choose
    /// names that push a certain one out.
    pub(in crate::store) slot_key: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetaV1 {
    slot_key: [u8; 32],
}

impl StoredRecord for Meta {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(&MetaV1 {
            slot_key: self.slot_key,
        })
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        let MetaV1 { slot_key } = only_version_1(version, json)?;
        Ok(Self { slot_key })
    }
}
