//! The row of the store's metadata.

use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, only_version_1, version_1};
use crate::store::StoreError;

/// The metadata: made with the store, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Meta {
    /// Keys the sets of unknown names, so that clients cannot choose names that evict a certain one.
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
