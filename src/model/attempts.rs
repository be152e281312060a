//! Sign-in attempts: whose they are, and how many are too many.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::AccessKeyId;
use crate::ids::AccountId;

/// Whose failures are counted together.
///
/// A known account has one counter however it is named. An unknown name has one too, so that it locks like
/// a known one; those share a table of bounded size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LockoutSubject {
    /// An account that exists.
    Account(AccountId),
    /// An access key, whether or not it exists.
    AccessKey(AccessKeyId),
    /// A name that belongs to nobody, as SHA-256 of its normalised form.
    Unknown([u8; 32]),
}

impl LockoutSubject {
    /// The subject of a name that belongs to nobody; `normalised` is lower-cased and in NFC.
    pub fn unknown(normalised: &str) -> Self {
        Self::Unknown(Sha256::digest(normalised.as_bytes()).into())
    }
}

/// When failures lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockoutPolicy {
    /// Consecutive failures that are allowed; one more locks.
    pub max_failures: u32,
    /// How long a lock lasts.
    pub duration: Duration,
}
