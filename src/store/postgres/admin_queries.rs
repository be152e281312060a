//! Looking for accounts and locks.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresStore;
use super::error::OperationError;
use super::row::{Params, query};
use super::{accounts, mails};
use crate::ids::MailId;
use crate::model::{AccountStatus, LockoutPolicy, QueuedMail};
use crate::store::{AccountFilter, AccountPage, AdminQueryStore, Locks, StoreError};

#[async_trait]
impl AdminQueryStore for PostgresStore {
    async fn find_accounts(
        &self,
        filter: AccountFilter,
        after: Option<String>,
        limit: usize,
    ) -> Result<AccountPage, StoreError> {
        let after = after.and_then(|after| AccountCursor::read(&after));
        self.database
            .with(async |client| find(client, &filter, after, limit).await)
            .await
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

/// Where a page ends: at a term, if a text is looked for, and an account.
struct AccountCursor {
    term: String,
    account: Uuid,
}

impl AccountCursor {
    fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.account.as_bytes(), self.term.as_bytes()].concat())
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (account, term) = bytes.split_first_chunk()?;
        Some(Self {
            term: String::from_utf8(term.to_vec()).ok()?,
            account: Uuid::from_bytes(*account),
        })
    }
}

async fn find(
    client: &impl GenericClient,
    filter: &AccountFilter,
    after: Option<AccountCursor>,
    limit: usize,
) -> Result<AccountPage, OperationError> {
    let status = filter.status.map(AccountStatus::as_str);
    // One more tells whether there is another page.
    let more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = if let Some(prefix) = filter.prefix() {
        // An account that is found by several of its terms is shown by the first of them.
        let sql = "SELECT term, id, version, record FROM account_term JOIN account ON id = account
            WHERE term >= $1 AND term < $1 || chr(1114111)
              AND ($3::uuid IS NULL OR (term, id) > ($2, $3))
              AND NOT EXISTS (SELECT FROM account_term AS earlier WHERE earlier.account = id
                  AND earlier.term >= $1 AND earlier.term < account_term.term)
              AND ($4::text IS NULL OR status = $4) AND ($5::text IS NULL OR groups @> ARRAY[$5])
            ORDER BY term, id LIMIT $6";
        // One of another search leads nowhere.
        let after = after.filter(|after| after.term.starts_with(&prefix));
        let (term, account) = after.map(|after| (after.term, after.account)).unzip();
        let params: Params<'_> = &[&prefix, &term, &account, &status, &filter.group, &more];
        query(client, sql, params).await?
    } else {
        let sql = "SELECT '' AS term, id, version, record FROM account
            WHERE ($1::uuid IS NULL OR id > $1)
              AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR groups @> ARRAY[$3])
            ORDER BY id LIMIT $4";
        let after = after.map(|after| after.account);
        query(client, sql, &[&after, &status, &filter.group, &more]).await?
    };
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(place).transpose()?;
    let mut page = AccountPage {
        next: next.map(|place| place.write()),
        ..AccountPage::default()
    };
    for row in &rows {
        match accounts::read_found(row) {
            Err(OperationError::Store(StoreError::Corrupt(why))) => page.unreadable.push(why),
            found => page.accounts.push(found?),
        }
    }
    Ok(page)
}

fn place(row: &Row) -> Result<AccountCursor, OperationError> {
    Ok(AccountCursor {
        term: row.try_get("term")?,
        account: row.try_get("id")?,
    })
}
