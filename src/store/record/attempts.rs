//! The rows of failure counters and locks.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, only_version_1, version_1};
use crate::store::{ExportedFailures, StoreError};

/// The consecutive failures of a subject, and its lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Failures {
    pub(in crate::store) count: u32,
    pub(in crate::store) lock: Option<StoredLock>,
}

/// A lock, measured by both clocks: by the monotonic one in the run that started it, by the wall clock in
/// later ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct StoredLock {
    /// Its whole duration.
    pub(in crate::store) lasts: Duration,
    /// When it ends, by the wall clock at its start.
    pub(in crate::store) until: Timestamp,
    /// The run that started it.
    pub(in crate::store) run: Run,
    /// When it ends, by the monotonic clock of that run.
    pub(in crate::store) ends: Duration,
}

/// Converts imported failures; their locks are measured by the wall clock.
impl From<&ExportedFailures> for Failures {
    fn from(kept: &ExportedFailures) -> Self {
        let lock = kept.lock.map(|lock| StoredLock {
            lasts: Duration::try_from(lock.lasts).unwrap_or_default(),
            until: lock.until,
            run: Run::ELSEWHERE,
            ends: Duration::ZERO,
        });
        Self {
            count: kept.count,
            lock,
        }
    }
}

/// Identifies one opening of the store; readings of the monotonic clock are valid within it only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::store) struct Run(pub(in crate::store) u64);

impl Run {
    /// No run of any store: real ones are random.
    const ELSEWHERE: Self = Self(0);
}

/// The failures of an unknown name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct UnknownFailures {
    /// When the last one was counted.
    pub(in crate::store) last: Timestamp,
    pub(in crate::store) failures: Failures,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailuresV1 {
    count: u32,
    lock: Option<LockV1>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockV1 {
    lasts: Duration,
    until: Timestamp,
    run: Run,
    ends: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnknownFailuresV1 {
    last: Timestamp,
    failures: FailuresV1,
}

impl StoredRecord for Failures {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(&FailuresV1::from(self))
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        only_version_1::<FailuresV1>(version, json).map(Self::from)
    }
}

impl StoredRecord for UnknownFailures {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(&UnknownFailuresV1 {
            last: self.last,
            failures: FailuresV1::from(&self.failures),
        })
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        let row: UnknownFailuresV1 = only_version_1(version, json)?;
        Ok(Self {
            last: row.last,
            failures: row.failures.into(),
        })
    }
}

impl From<&Failures> for FailuresV1 {
    fn from(failures: &Failures) -> Self {
        Self {
            count: failures.count,
            lock: failures.lock.as_ref().map(LockV1::from),
        }
    }
}

impl From<FailuresV1> for Failures {
    fn from(row: FailuresV1) -> Self {
        Self {
            count: row.count,
            lock: row.lock.map(StoredLock::from),
        }
    }
}

impl From<&StoredLock> for LockV1 {
    fn from(lock: &StoredLock) -> Self {
        Self {
            lasts: lock.lasts,
            until: lock.until,
            run: lock.run,
            ends: lock.ends,
        }
    }
}

impl From<LockV1> for StoredLock {
    fn from(row: LockV1) -> Self {
        Self {
            lasts: row.lasts,
            until: row.until,
            run: row.run,
            ends: row.ends,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::assert_version_1_stays;

    /// A row as version 1 was first written; see `account.rs`.
    const FROZEN: &str = r#"{"count":11,"lock":{"lasts":{"secs":1200,"nanos":0},"until":"2026-01-02T03:04:05Z",
        "run":18446744073709551615,"ends":{"secs":1201,"nanos":5}}}"#;

    #[test]
    fn version_1_is_read_and_written_as_ever() {
        assert_version_1_stays::<Failures>(FROZEN, &[]);
    }
}
