//! What a store keeps of access keys.

use async_trait::async_trait;

use super::{LoadedRows, StoreError};
use crate::ids::AccountId;
use crate::model::{AccessKey, AccessKeyId, KeyUse, Mail, WrappedDataKey};

/// Access keys, and the key that their secrets are sealed with: a part of every [`Store`](super::Store).
#[async_trait]
pub trait AccessKeyStore: Send + Sync + 'static {
    /// Keeps an access key, unless its account is gone or has `at_most` already: atomically, however many are made at
    /// one moment. Expired and disabled ones take a place too. If it is kept, `mails` wait from then on.
    async fn create_access_key(
        &self,
        key: AccessKey,
        at_most: usize,
        mails: Vec<Mail>,
    ) -> Result<CreateAccessKey, StoreError>;

    /// The access keys of an account, or all, in the order they were made.
    async fn access_keys(&self, of: Option<AccountId>) -> Result<Vec<AccessKey>, StoreError>;

    /// Every access key that is kept, in the order they were made: read once, at start.
    async fn load_access_keys(&self) -> Result<LoadedRows<AccessKey>, StoreError>;

    /// Switches an access key off or on. The key as it is now, if there is one. Sessions that were begun with a key that is
    /// off are ended in the same step.
    async fn set_access_key_disabled(
        &self,
        id: AccessKeyId,
        disabled: bool,
    ) -> Result<Option<AccessKey>, StoreError>;

    /// Removes an access key, its attempts and the sessions that were begun with it. The key that was removed, if there was
    /// one.
    async fn revoke_access_key(&self, id: AccessKeyId) -> Result<Option<AccessKey>, StoreError>;

    /// Notes when access keys were last used, never back in time. Those that are gone stay gone.
    async fn touch_access_keys(&self, uses: Vec<(AccessKeyId, KeyUse)>) -> Result<(), StoreError>;

    /// The key of all access keys' secrets, if one was made.
    async fn data_key(&self) -> Result<Option<WrappedDataKey>, StoreError>;

    /// Replaces it if it still is what the caller read. Whether it was.
    async fn replace_data_key(
        &self,
        expected: Option<WrappedDataKey>,
        new: WrappedDataKey,
    ) -> Result<bool, StoreError>;
}

/// What became of [`AccessKeyStore::create_access_key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateAccessKey {
    /// It is kept.
    Created,
    /// Its account has as many as it may have.
    TooMany,
    /// There is no such account.
    NoAccount,
}
