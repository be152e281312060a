//! Locks in force, as JSON.

use serde::{Deserialize, Serialize};

use super::account::seconds;
use crate::ids::AccountId;
use crate::model::{AccessKeyId, Email, Username};
use crate::services::LocksInForce;

/// The locks in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocksView {
    /// Locked accounts, the longest first; at most 200.
    pub accounts: Vec<LockedAccount>,
    /// Locked access keys.
    pub access_keys: Vec<LockedAccessKey>,
    /// The number of locked names that no account has.
    pub unknown_name_count: usize,
    /// Whose could not be read, and why: they stand in no other's way.
    pub unreadable: Vec<String>,
}

/// A locked account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedAccount {
    /// Its id.
    pub id: AccountId,
    /// Its address.
    pub email: Email,
    /// Its username.
    pub username: Username,
    /// The seconds left.
    pub locked_for_seconds: u64,
}

/// A locked access key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedAccessKey {
    /// The public id.
    pub access_key: AccessKeyId,
    /// The seconds left.
    pub locked_for_seconds: u64,
}

impl From<LocksInForce> for LocksView {
    fn from(locks: LocksInForce) -> Self {
        let accounts = locks.accounts.into_iter().map(|(account, left)| LockedAccount {
            id: account.id,
            email: account.email,
            username: account.username,
            locked_for_seconds: seconds(left),
        });
        let access_keys = locks
            .access_keys
            .into_iter()
            .map(|(access_key, left)| LockedAccessKey {
                access_key,
                locked_for_seconds: seconds(left),
            });
        Self {
            accounts: accounts.collect(),
            access_keys: access_keys.collect(),
            unknown_name_count: locks.unknown,
            unreadable: locks.unreadable,
        }
    }
}
