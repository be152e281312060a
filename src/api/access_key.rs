//! Access keys.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::model::{AccessKeyId, KeyScope, KeyUse, SecretKey};
use crate::services::{AccessKeyInfo, LoadedRows};

/// An access key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKeyView {
    /// Its public half.
    pub access_key: AccessKeyId,
    /// Whose it is.
    pub account: AccountId,
    /// Their address.
    pub email: String,
    /// What its owner calls it; may be empty.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From this moment it serves nobody, if there is such a moment.
    pub expires_at: Option<Timestamp>,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Whether it proves anything now: not if it is disabled or expired, or its owner may not sign in.
    pub live: bool,
    /// Its last use.
    pub last_use: Option<KeyUse>,
    /// What it may be used for.
    pub scope: KeyScope,
}

impl From<AccessKeyInfo> for AccessKeyView {
    fn from(info: AccessKeyInfo) -> Self {
        let key = info.key;
        Self {
            access_key: key.id,
            account: key.account,
            email: info.email,
            name: key.name,
            created_at: key.created_at,
            expires_at: key.expires_at,
            disabled: key.disabled,
            live: info.is_live,
            last_use: key.last_use,
            scope: key.scope,
        }
    }
}

/// Access keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKeyList {
    /// The access keys.
    pub access_keys: Vec<AccessKeyView>,
    /// Which could not be read, and why: they stand in no other's way.
    pub unreadable: Vec<String>,
}

impl From<LoadedRows<AccessKeyInfo>> for AccessKeyList {
    fn from(keys: LoadedRows<AccessKeyInfo>) -> Self {
        Self {
            unreadable: keys.unreadable_names(),
            access_keys: keys.sound.into_iter().map(AccessKeyView::from).collect(),
        }
    }
}

/// A new access key with its secret, which is shown here and nowhere else.
#[derive(Clone, Serialize, Deserialize)]
pub struct CreatedAccessKey {
    /// Its secret half.
    pub secret_key: String,
    /// The key.
    #[serde(flatten)]
    pub key: AccessKeyView,
}

impl CreatedAccessKey {
    /// The key and its secret.
    pub fn new(info: AccessKeyInfo, secret: &SecretKey) -> Self {
        Self {
            secret_key: secret.expose().to_owned(),
            key: info.into(),
        }
    }
}

impl fmt::Debug for CreatedAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CreatedAccessKey").field(&self.key).finish()
    }
}

/// Access keys that were revoked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedAccessKeys {
    /// How many.
    pub revoked_count: usize,
}

/// The master key that seals from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedMaster {
    /// Its fingerprint.
    pub master_key: String,
}
