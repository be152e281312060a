//! Lockout: the subjects whose failed sign-ins are counted, and the policy that locks them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::AccessKeyId;
use crate::ids::AccountId;

/// The subject of one failure counter.
///
/// An account has one counter, whichever of its names is typed. An unknown name has one too, so that it locks
/// like a known one; the counters of unknown names share a table of bounded size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LockoutSubject {
    /// An existing account.
    Account(AccountId),
    /// An access key, existing or not.
    AccessKey(AccessKeyId),
    /// A name that no account has: SHA-256 of the normalised name.
    Unknown([u8; 32]),
}

impl LockoutSubject {
    /// Returns the subject of a name that no account has; `normalised` is in lower case and NFC.
    pub fn unknown(normalised: &str) -> Self {
        Self::Unknown(Sha256::digest(normalised.as_bytes()).into())
    }
}

/// When consecutive failures lock a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockoutPolicy {
    /// Consecutive failures allowed; one more locks.
    pub max_failures: u32,
    /// How long a lock lasts.
    pub duration: Duration,
}
