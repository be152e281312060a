//! Operations on access keys and on the data key that encrypts their secrets.

use async_trait::async_trait;

use super::{LoadedRows, StoreError};
use crate::ids::AccountId;
use crate::model::{AccessKey, AccessKeyId, KeyUse, Mail, WrappedDataKey};

/// Access keys and the wrapped data key: a part of [`Store`](super::Store).
#[async_trait]
pub trait AccessKeyStore: Send + Sync + 'static {
    /// Creates an access key, unless its account is gone or has `at_most` keys already; expired and disabled
    /// ones count. Enqueues `mails` in the same transaction.
    async fn create_access_key(
        &self,
        key: AccessKey,
        at_most: usize,
        mails: Vec<Mail>,
    ) -> Result<CreateAccessKey, StoreError>;

    /// The access keys of an account, or all, in order of creation.
    async fn access_keys(&self, of: Option<AccountId>) -> Result<Vec<AccessKey>, StoreError>;

    /// The access keys of an account, once no other operation is changing them, as
    /// [`settled_account`](super::AccountStore::settled_account) has it.
    async fn settled_access_keys(&self, of: AccountId) -> Result<Vec<AccessKey>, StoreError> {
        self.access_keys(Some(of)).await
    }

    /// Loads all access keys, in order of creation; read once, at start.
    async fn load_access_keys(&self) -> Result<LoadedRows<AccessKey>, StoreError>;

    /// Disables or enables an access key, and returns it; `None` if there is none. Disabling ends the
    /// sessions that it began, in the same transaction.
    async fn set_access_key_disabled(
        &self,
        id: AccessKeyId,
        disabled: bool,
    ) -> Result<Option<AccessKey>, StoreError>;

    /// Removes an access key, its failure counter and the sessions that it began. Returns the removed key.
    async fn revoke_access_key(&self, id: AccessKeyId) -> Result<Option<AccessKey>, StoreError>;

    /// Records last uses, ignoring earlier ones and keys that are gone.
    async fn touch_access_keys(&self, uses: Vec<(AccessKeyId, KeyUse)>) -> Result<(), StoreError>;

    /// The wrapped data key; `None` before the first one is made.
    async fn data_key(&self) -> Result<Option<WrappedDataKey>, StoreError>;

    /// Replaces the data key by compare-and-set. Returns whether it was still `expected`.
    async fn replace_data_key(
        &self,
        expected: Option<WrappedDataKey>,
        new: WrappedDataKey,
    ) -> Result<bool, StoreError>;
}

/// The outcome of [`AccessKeyStore::create_access_key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateAccessKey {
    /// The key is stored.
    Created,
    /// The account has as many keys as it may.
    TooMany,
    /// There is no such account.
    NoAccount,
}
