//! Access keys as JSON.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::model::{AccessKeyId, KeyScope, KeyUse, SecretKey};
use crate::services::{AccessKeyInfo, LoadedRows};

/// An access key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKeyView {
    /// The public id.
    pub access_key: AccessKeyId,
    /// The owner's account.
    pub account: AccountId,
    /// The owner's e-mail address.
    pub email: String,
    /// The label that the owner gave it; may be empty.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Whether it is accepted now: not disabled or expired, and its owner may sign in.
    pub live: bool,
    /// Its last use.
    pub last_use: Option<KeyUse>,
    /// The routes and methods that it is limited to.
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

/// A list of access keys.
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

/// A new access key with its secret, which is shown only here.
#[derive(Clone, Serialize, Deserialize)]
pub struct CreatedAccessKey {
    /// The secret.
    pub secret_key: String,
    /// The key.
    #[serde(flatten)]
    pub key: AccessKeyView,
}

impl CreatedAccessKey {
    /// Builds the view of a new key.
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

/// The result of revoking several access keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedAccessKeys {
    /// Their number.
    pub revoked_count: usize,
}

/// The result of replacing the master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedMaster {
    /// The new key's fingerprint.
    pub master_key: String,
}
