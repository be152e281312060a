//! Access keys, their index by account, and the wrapped data key.

use async_trait::async_trait;

use super::SledStore;
use super::engine::Engine;
use super::rows::{self, Rows, WriteBatch};
use super::schema::{self, RowKind};
use super::{mails, sessions};
use crate::ids::AccountId;
use crate::model::{AccessKey, AccessKeyId, KeyUse, Mail, WrappedDataKey};
use crate::store::{AccessKeyStore, CreateAccessKey, LoadedRows, StoreError, rules};

#[async_trait]
impl AccessKeyStore for SledStore {
    async fn create_access_key(
        &self,
        key: AccessKey,
        at_most: usize,
        mails: Vec<Mail>,
    ) -> Result<CreateAccessKey, StoreError> {
        self.change(move |group| create(group, &key, at_most, &mails))
            .await
    }

    async fn access_keys(&self, account: Option<AccountId>) -> Result<Vec<AccessKey>, StoreError> {
        match account {
            Some(account) => self.open.engine.with(|tree| of(tree, account)),
            None => self.load_access_keys().await?.require_sound(),
        }
    }

    async fn load_access_keys(&self) -> Result<LoadedRows<AccessKey>, StoreError> {
        self.read_all(all).await
    }

    async fn set_access_key_disabled(
        &self,
        id: AccessKeyId,
        disabled: bool,
    ) -> Result<Option<AccessKey>, StoreError> {
        self.change(move |group| set_disabled(group, id, disabled)).await
    }

    async fn revoke_access_key(&self, id: AccessKeyId) -> Result<Option<AccessKey>, StoreError> {
        self.change(move |group| revoke(group, id)).await
    }

    async fn touch_access_keys(&self, uses: Vec<(AccessKeyId, KeyUse)>) -> Result<(), StoreError> {
        self.change(move |group| touch(group, uses)).await
    }

    async fn data_key(&self) -> Result<Option<WrappedDataKey>, StoreError> {
        self.open.engine.with(|tree| tree.read(&schema::data_key()))
    }

    async fn replace_data_key(
        &self,
        expected: Option<WrappedDataKey>,
        new: WrappedDataKey,
    ) -> Result<bool, StoreError> {
        let master = new.master.clone();
        let replaced = self
            .change(move |group| replace_data_key(group, expected.as_ref(), &new))
            .await?;
        if replaced {
            self.open.data_dir.record_master_key(&master);
        }
        Ok(replaced)
    }
}

fn create(
    batch: &mut WriteBatch<'_>,
    access_key: &AccessKey,
    at_most: usize,
    new_mails: &[Mail],
) -> Result<CreateAccessKey, StoreError> {
    let (id, account) = (access_key.id, access_key.account);
    if batch.value(&schema::account(account))?.is_none() {
        return Ok(CreateAccessKey::NoAccount);
    }
    if ids_of(batch, account)?.len() >= at_most {
        return Ok(CreateAccessKey::TooMany);
    }
    if batch.value(&schema::access_key(id))?.is_some() {
        return Err(StoreError::Unavailable(
            "the new access key's id is taken".to_owned(),
        ));
    }
    insert(batch, access_key)?;
    mails::enqueue(batch, new_mails)?;
    Ok(CreateAccessKey::Created)
}

/// Inserts a new access key and its index row.
pub(super) fn insert(batch: &mut WriteBatch<'_>, access_key: &AccessKey) -> Result<(), StoreError> {
    batch.put(schema::access_key(access_key.id), access_key)?;
    batch.put(schema::access_key_of(access_key.account, access_key.id), &())
}

/// The access keys of an account, in order of creation.
fn of(rows: &impl Rows, account: AccountId) -> Result<Vec<AccessKey>, StoreError> {
    let mut access_keys = Vec::new();
    for id in ids_of(rows, account)? {
        access_keys.push(rows.indexed(&schema::access_key_of(account, id), &schema::access_key(id))?);
    }
    Ok(in_order(access_keys))
}

/// All access keys, in order of creation.
fn all(engine: &Engine) -> Result<LoadedRows<AccessKey>, StoreError> {
    let loaded = rows::load(engine, RowKind::AccessKey, RowKind::AccessKeyOf)?;
    Ok(LoadedRows {
        sound: in_order(loaded.sound),
        ..loaded
    })
}

fn set_disabled(
    batch: &mut WriteBatch<'_>,
    id: AccessKeyId,
    disabled: bool,
) -> Result<Option<AccessKey>, StoreError> {
    let key = schema::access_key(id);
    let Some(mut access_key) = batch.read::<AccessKey>(&key)? else {
        return Ok(None);
    };
    if access_key.disabled != disabled {
        access_key.disabled = disabled;
        batch.put(key, &access_key)?;
    }
    if disabled {
        sessions::end_of_access_key(batch, access_key.account, id)?;
    }
    Ok(Some(access_key))
}

/// Removes an access key, its failure counter and the sessions that it began.
fn revoke(batch: &mut WriteBatch<'_>, id: AccessKeyId) -> Result<Option<AccessKey>, StoreError> {
    let key = schema::access_key(id);
    let Some(access_key) = batch.read::<AccessKey>(&key)? else {
        return Ok(None);
    };
    batch.remove(key);
    batch.remove(schema::access_key_of(access_key.account, id));
    batch.remove(schema::key_attempts(id));
    sessions::end_of_access_key(batch, access_key.account, id)?;
    Ok(Some(access_key))
}

/// Removes all access keys of an account.
pub(super) fn revoke_of_account(batch: &mut WriteBatch<'_>, account: AccountId) -> Result<(), StoreError> {
    for id in ids_of(batch, account)? {
        revoke(batch, id)?;
    }
    Ok(())
}

/// Records last uses; an earlier use never replaces a later one.
fn touch(batch: &mut WriteBatch<'_>, uses: Vec<(AccessKeyId, KeyUse)>) -> Result<(), StoreError> {
    for (id, last_use) in uses {
        let key = schema::access_key(id);
        if let Some(mut access_key) = batch.read::<AccessKey>(&key)?
            && access_key
                .last_use
                .as_ref()
                .is_none_or(|known| rules::is_later_use(last_use.at, known.at))
        {
            access_key.last_use = Some(last_use);
            batch.put(key, &access_key)?;
        }
    }
    Ok(())
}

fn replace_data_key(
    batch: &mut WriteBatch<'_>,
    expected: Option<&WrappedDataKey>,
    new: &WrappedDataKey,
) -> Result<bool, StoreError> {
    let current: Option<WrappedDataKey> = batch.read(&schema::data_key())?;
    if current.as_ref() != expected {
        return Ok(false);
    }
    batch.put(schema::data_key(), new)?;
    Ok(true)
}

fn ids_of(rows: &impl Rows, account: AccountId) -> Result<Vec<AccessKeyId>, StoreError> {
    rows.scan(&schema::access_keys_of(account))
        .filter_map(|row| row.map(|(key, _)| schema::trailing_access_key(&key)).transpose())
        .collect()
}

fn in_order(mut access_keys: Vec<AccessKey>) -> Vec<AccessKey> {
    access_keys.sort_by_key(|access_key| (access_key.created_at, access_key.id));
    access_keys
}
