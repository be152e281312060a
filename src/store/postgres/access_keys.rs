//! Access keys and the wrapped data key.

use std::collections::HashMap;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::error::{OperationError, unavailable};
use super::row::{Json, decode, encode, execute, load, query, query_opt, query_value, uuid};
use super::{PostgresStore, TOGETHER, mails, sessions};
use crate::ids::AccountId;
use crate::model::{AccessKey, AccessKeyId, KeyUse, Mail, WrappedDataKey};
use crate::store::{AccessKeyStore, CreateAccessKey, LoadedRows, StoreError, rules};

#[async_trait]
impl AccessKeyStore for PostgresStore {
    async fn create_access_key(
        &self,
        key: AccessKey,
        at_most: usize,
        mails: Vec<Mail>,
    ) -> Result<CreateAccessKey, StoreError> {
        self.database
            .transact((key, at_most, mails), |tx, (key, at_most, mails)| {
                Box::pin(create(tx, key, *at_most, mails))
            })
            .await
    }

    async fn access_keys(&self, of: Option<AccountId>) -> Result<Vec<AccessKey>, StoreError> {
        self.database
            .with_all(async |client| list(client, of).await)
            .await?
            .require_sound()
    }

    async fn settled_access_keys(&self, of: AccountId) -> Result<Vec<AccessKey>, StoreError> {
        self.database
            .transact(of, |tx, of| Box::pin(share_all(tx, *of)))
            .await?
            .require_sound()
    }

    async fn load_access_keys(&self) -> Result<LoadedRows<AccessKey>, StoreError> {
        self.database
            .with_all(async |client| list(client, None).await)
            .await
    }

    async fn set_access_key_disabled(
        &self,
        id: AccessKeyId,
        disabled: bool,
    ) -> Result<Option<AccessKey>, StoreError> {
        self.database
            .transact((id, disabled), |tx, (id, disabled)| {
                Box::pin(set_disabled(tx, *id, *disabled))
            })
            .await
    }

    async fn revoke_access_key(&self, id: AccessKeyId) -> Result<Option<AccessKey>, StoreError> {
        self.database
            .transact(id, |tx, id| Box::pin(revoke(tx, *id)))
            .await
    }

    async fn touch_access_keys(&self, uses: Vec<(AccessKeyId, KeyUse)>) -> Result<(), StoreError> {
        for piece in uses.chunks(TOGETHER) {
            self.database
                .transact(piece.to_vec(), |tx, uses| Box::pin(touch(tx, uses)))
                .await?;
        }
        Ok(())
    }

    async fn data_key(&self) -> Result<Option<WrappedDataKey>, StoreError> {
        self.database.with(async |client| data_key(client).await).await
    }

    async fn replace_data_key(
        &self,
        expected: Option<WrappedDataKey>,
        new: WrappedDataKey,
    ) -> Result<bool, StoreError> {
        self.database
            .transact((expected, new), |tx, (expected, new)| {
                Box::pin(replace_data_key(tx, expected.as_ref(), new))
            })
            .await
    }
}

async fn create(
    tx: &Transaction<'_>,
    access_key: &AccessKey,
    at_most: usize,
    new_mails: &[Mail],
) -> Result<CreateAccessKey, OperationError> {
    let account = uuid(access_key.account.as_bytes());
    let sql = "SELECT FROM account WHERE id = $1 FOR NO KEY UPDATE";
    if query_opt(tx, sql, &[&account]).await?.is_none() {
        return Ok(CreateAccessKey::NoAccount);
    }
    let sql = "SELECT count(*) FROM access_key WHERE account = $1";
    let count: i64 = query_value(tx, sql, &[&account]).await?;
    if usize::try_from(count).is_ok_and(|count| count >= at_most) {
        return Ok(CreateAccessKey::TooMany);
    }
    let sql = "SELECT EXISTS (SELECT FROM access_key WHERE id = $1)";
    if query_value(tx, sql, &[&access_key.id.as_str()]).await? {
        return Err(unavailable("the new access key's id is taken"));
    }
    insert(tx, access_key).await?;
    mails::enqueue(tx, new_mails).await?;
    Ok(CreateAccessKey::Created)
}

/// Inserts a new access key.
pub(super) async fn insert(
    client: &impl GenericClient,
    access_key: &AccessKey,
) -> Result<(), OperationError> {
    let (version, record) = encode(access_key)?;
    execute(
        client,
        "INSERT INTO access_key (id, account, version, record) VALUES ($1, $2, $3, $4)",
        &[
            &access_key.id.as_str(),
            &uuid(access_key.account.as_bytes()),
            &version,
            &record,
        ],
    )
    .await?;
    Ok(())
}

/// The access keys of an account, or all, in order of creation.
async fn list(
    client: &impl GenericClient,
    of: Option<AccountId>,
) -> Result<LoadedRows<AccessKey>, OperationError> {
    let sql = "SELECT id, account, version, record FROM access_key WHERE $1::uuid IS NULL OR account = $1";
    let rows = query(client, sql, &[&of.map(|of| uuid(of.as_bytes()))]).await?;
    in_order(&rows)
}

/// Loads the access keys of an account and locks them and it against changes until the transaction ends.
async fn share_all(tx: &Transaction<'_>, of: AccountId) -> Result<LoadedRows<AccessKey>, OperationError> {
    let of = uuid(of.as_bytes());
    query_opt(tx, "SELECT FROM account WHERE id = $1 FOR SHARE", &[&of]).await?;
    let sql = "SELECT id, account, version, record FROM access_key WHERE account = $1 ORDER BY id FOR SHARE";
    in_order(&query(tx, sql, &[&of]).await?)
}

fn in_order(rows: &[Row]) -> Result<LoadedRows<AccessKey>, OperationError> {
    let mut loaded = load(rows, Some("account"), read)?;
    loaded
        .sound
        .sort_by_key(|access_key| (access_key.created_at, access_key.id));
    Ok(loaded)
}

async fn set_disabled(
    tx: &Transaction<'_>,
    id: AccessKeyId,
    disabled: bool,
) -> Result<Option<AccessKey>, OperationError> {
    lock_owner(tx, id).await?;
    let Some(mut access_key) = lock(tx, &[id]).await?.pop() else {
        return Ok(None);
    };
    access_key.disabled = disabled;
    replace(tx, std::slice::from_ref(&access_key)).await?;
    if disabled {
        sessions::end_of_access_key(tx, access_key.account, id).await?;
    }
    Ok(Some(access_key))
}

/// Removes an access key and the sessions that it began. Its failure counter is removed by the foreign key.
async fn revoke(tx: &Transaction<'_>, id: AccessKeyId) -> Result<Option<AccessKey>, OperationError> {
    lock_owner(tx, id).await?;
    let sql = "DELETE FROM access_key WHERE id = $1 RETURNING id, version, record";
    let row = query_opt(tx, sql, &[&id.as_str()]).await?;
    let Some(access_key) = row.map(|row| read(&row)).transpose()? else {
        return Ok(None);
    };
    sessions::end_of_access_key(tx, access_key.account, id).await?;
    Ok(Some(access_key))
}

/// Locks the key's account against removal until the transaction ends. A removal locks the account first and
/// then keys and sessions in any order, so every other operation must lock the account first too, or they
/// could deadlock.
async fn lock_owner(tx: &Transaction<'_>, id: AccessKeyId) -> Result<(), OperationError> {
    let sql = "SELECT FROM account WHERE id = (SELECT account FROM access_key WHERE id = $1) FOR KEY SHARE";
    query_opt(tx, sql, &[&id.as_str()]).await?;
    Ok(())
}

/// Returns whether the account has this access key, enabled; locks the key against removal and disabling
/// until the transaction ends.
pub(super) async fn is_switched_on(
    tx: &Transaction<'_>,
    id: AccessKeyId,
    account: AccountId,
) -> Result<bool, OperationError> {
    let sql = "SELECT id, version, record FROM access_key WHERE id = $1 FOR SHARE";
    let row = query_opt(tx, sql, &[&id.as_str()]).await?;
    let access_key = row.map(|row| read(&row)).transpose()?;
    Ok(access_key.is_some_and(|key| key.account == account && !key.disabled))
}

/// Records last uses; an earlier use never replaces a later one.
async fn touch(tx: &Transaction<'_>, uses: &[(AccessKeyId, KeyUse)]) -> Result<(), OperationError> {
    let mut uses_of: HashMap<AccessKeyId, Vec<&KeyUse>> = HashMap::new();
    for (id, last) in uses {
        uses_of.entry(*id).or_default().push(last);
    }
    let mut changed = lock(tx, &uses_of.keys().copied().collect::<Vec<_>>()).await?;
    changed.retain_mut(|access_key| {
        let mut is_later = false;
        for last in uses_of.get(&access_key.id).into_iter().flatten() {
            let known = access_key.last_use.as_ref();
            if known.is_none_or(|known| rules::is_later_use(last.at, known.at)) {
                access_key.last_use = Some((*last).clone());
                is_later = true;
            }
        }
        is_later
    });
    replace(tx, &changed).await
}

/// Loads and locks the access keys that exist, in one order against deadlocks.
async fn lock(tx: &Transaction<'_>, ids: &[AccessKeyId]) -> Result<Vec<AccessKey>, OperationError> {
    let ids: Vec<_> = ids.iter().map(AccessKeyId::as_str).collect();
    let sql = "SELECT id, version, record FROM access_key WHERE id = ANY ($1) ORDER BY id FOR UPDATE";
    query(tx, sql, &[&ids]).await?.iter().map(read).collect()
}

async fn replace(tx: &Transaction<'_>, access_keys: &[AccessKey]) -> Result<(), OperationError> {
    let ids: Vec<_> = access_keys
        .iter()
        .map(|access_key| access_key.id.as_str())
        .collect();
    let rows = access_keys.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
    let (versions, records): (Vec<i16>, Vec<Json>) = rows.into_iter().unzip();
    let sql = "UPDATE access_key SET version = new.version, record = new.record
        FROM unnest($1::text[], $2::smallint[], $3::json[]) AS new (id, version, record)
        WHERE access_key.id = new.id";
    execute(tx, sql, &[&ids, &versions, &records]).await?;
    Ok(())
}

async fn data_key(client: &impl GenericClient) -> Result<Option<WrappedDataKey>, OperationError> {
    let row = query_opt(client, "SELECT version, record FROM data_key", &[]).await?;
    row.map(|row| decode(&row, || "the data key".to_owned()))
        .transpose()
}

async fn replace_data_key(
    tx: &Transaction<'_>,
    expected: Option<&WrappedDataKey>,
    new: &WrappedDataKey,
) -> Result<bool, OperationError> {
    let row = query_opt(tx, "SELECT version, record FROM data_key FOR UPDATE", &[]).await?;
    let current: Option<WrappedDataKey> = row
        .map(|row| decode(&row, || "the data key".to_owned()))
        .transpose()?;
    if current.as_ref() != expected {
        return Ok(false);
    }
    if current.is_some() {
        let (version, record) = encode(new)?;
        let sql = "UPDATE data_key SET version = $1, record = $2";
        execute(tx, sql, &[&version, &record]).await?;
    } else {
        insert_data_key(tx, new).await?;
    }
    Ok(true)
}

/// Inserts the wrapped data key where there is none.
pub(super) async fn insert_data_key(
    client: &impl GenericClient,
    new: &WrappedDataKey,
) -> Result<(), OperationError> {
    let (version, record) = encode(new)?;
    let sql = "INSERT INTO data_key (version, record) VALUES ($1, $2)";
    execute(client, sql, &[&version, &record]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<AccessKey, OperationError> {
    let id: &str = row.try_get("id")?;
    decode(row, || format!("access key {id}"))
}
