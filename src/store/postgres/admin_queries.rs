//! Administrators' queries for groups, a mail and locks.

use std::collections::BTreeMap;

use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::error::OperationError;
use super::row::query;
use super::{PostgresStore, account_pages, mails};
use crate::ids::MailId;
use crate::model::{LockoutPolicy, QueuedMail};
use crate::store::{AccountPage, AccountQuery, AdminQueryStore, Locks, StoreError};

#[async_trait]
impl AdminQueryStore for PostgresStore {
    async fn find_accounts(&self, query: AccountQuery) -> Result<AccountPage, StoreError> {
        self.database
            .with(async |client| account_pages::find(client, &query).await)
            .await
    }

    async fn groups(&self) -> Result<BTreeMap<String, usize>, StoreError> {
        self.database.with_all(async |client| groups(client).await).await
    }

    async fn mail(&self, id: MailId) -> Result<Option<QueuedMail>, StoreError> {
        self.database
            .with(async |client| mails::by_id(client, id).await)
            .await
    }

    async fn locks(&self, policy: LockoutPolicy) -> Result<Locks, StoreError> {
        self.database
            .with_all(async |client| self.attempts.locks(client, policy).await)
            .await
    }
}

async fn groups(client: &impl GenericClient) -> Result<BTreeMap<String, usize>, OperationError> {
    let sql = "SELECT name, sum(delta)::bigint FROM account_count WHERE kind = 'group'
        GROUP BY name HAVING sum(delta) > 0";
    let rows = query(client, sql, &[]).await?;
    let group = |row: &Row| {
        let count: i64 = row.try_get(1)?;
        Ok((row.try_get(0)?, usize::try_from(count).unwrap_or(usize::MAX)))
    };
    rows.iter().map(group).collect()
}
