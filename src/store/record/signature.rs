//! The rows of spent signatures.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, only_version_1, version_1};
use crate::store::StoreError;

/// Until when a spent signature is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct SpentUntil(pub(in crate::store) Timestamp);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpentUntilV1 {
    until: Timestamp,
}

impl StoredRecord for SpentUntil {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(&SpentUntilV1 { until: self.0 })
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        let SpentUntilV1 { until } = only_version_1(version, json)?;
        Ok(Self(until))
    }
}
