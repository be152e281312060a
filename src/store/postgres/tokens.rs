//! E-mail tokens. A used one is removed; an account has one at most for each purpose.

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresStore;
use super::error::OperationError;
use super::row::{account_of, bytes, decode, encode, execute, micros, query_opt, uuid};
use super::{accounts, mails, sessions};
use crate::ids::AccountId;
use crate::model::{EmailToken, Mail, Purpose, TokenDigest};
use crate::store::rules::AccountTransition;
use crate::store::{ConsumeToken, SessionsToEnd, StoreError, TokenEffect, TokenStore};

#[async_trait]
impl TokenStore for PostgresStore {
    async fn save_token(&self, token: EmailToken) -> Result<(), StoreError> {
        self.database
            .transact(token, |tx, token| Box::pin(put(tx, token)))
            .await
    }

    async fn token(&self, digest: TokenDigest) -> Result<Option<EmailToken>, StoreError> {
        self.database
            .with(async |client| by_digest(client, &digest).await)
            .await
    }

    async fn consume_token(
        &self,
        digest: TokenDigest,
        effect: TokenEffect,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<ConsumeToken, StoreError> {
        self.database
            .transact(
                (digest, effect, mails, now),
                |tx, (digest, effect, mails, now)| Box::pin(consume(tx, digest, effect, mails, *now)),
            )
            .await
    }
}

/// Saves a token in place of the account's earlier one for its purpose. Does nothing if the account is gone.
pub(super) async fn put(tx: &Transaction<'_>, token: &EmailToken) -> Result<(), OperationError> {
    if accounts::lock(tx, token.account).await?.is_none() {
        return Ok(());
    }
    void(tx, token.account, token.purpose).await?;
    insert(tx, token).await
}

/// Inserts a new token.
pub(super) async fn insert(client: &impl GenericClient, token: &EmailToken) -> Result<(), OperationError> {
    let (version, record) = encode(token)?;
    execute(
        client,
        "INSERT INTO mailed_token (digest, account, purpose, expires_at, version, record)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &bytes(&token.digest),
            &uuid(token.account.as_bytes()),
            &purpose(token.purpose),
            &micros(token.expires_at),
            &version,
            &record,
        ],
    )
    .await?;
    Ok(())
}

async fn by_digest(
    client: &impl GenericClient,
    digest: &TokenDigest,
) -> Result<Option<EmailToken>, OperationError> {
    let sql = "SELECT account, version, record FROM mailed_token WHERE digest = $1";
    let row = query_opt(client, sql, &[&bytes(digest)]).await?;
    row.map(|row| read(&row)).transpose()
}

/// The account's token for a purpose.
pub(super) async fn current(
    client: &impl GenericClient,
    account: AccountId,
    of: Purpose,
) -> Result<Option<EmailToken>, OperationError> {
    let sql = "SELECT account, version, record FROM mailed_token WHERE account = $1 AND purpose = $2";
    let row = query_opt(client, sql, &[&uuid(account.as_bytes()), &purpose(of)]).await?;
    row.map(|row| read(&row)).transpose()
}

pub(super) async fn void_all(tx: &Transaction<'_>, account: AccountId) -> Result<(), OperationError> {
    let sql = "DELETE FROM mailed_token WHERE account = $1";
    execute(tx, sql, &[&uuid(account.as_bytes())]).await?;
    Ok(())
}

/// Voids an account's token for a purpose, if it has one.
pub(super) async fn void(
    tx: &Transaction<'_>,
    account: AccountId,
    of: Purpose,
) -> Result<(), OperationError> {
    let sql = "DELETE FROM mailed_token WHERE account = $1 AND purpose = $2";
    execute(tx, sql, &[&uuid(account.as_bytes()), &purpose(of)]).await?;
    Ok(())
}

async fn consume(
    tx: &Transaction<'_>,
    digest: &TokenDigest,
    effect: &TokenEffect,
    new_mails: &[Mail],
    now: Timestamp,
) -> Result<ConsumeToken, OperationError> {
    // Read without a lock to find the account, which every operation locks before its tokens.
    let Some(token) = by_digest(tx, digest).await? else {
        return Ok(ConsumeToken::Void);
    };
    let Some(account) = accounts::lock(tx, token.account).await? else {
        return Ok(ConsumeToken::Void);
    };
    let Some(change) = AccountTransition::by_token(&token, effect.clone(), account, now) else {
        return Ok(ConsumeToken::Void);
    };
    if let Some(email) = change.new_email()
        && accounts::is_address_taken(tx, email).await?
    {
        return Ok(ConsumeToken::EmailTaken);
    }
    // The count of deleted rows tells whether a concurrent call used the token.
    let sql = "DELETE FROM mailed_token WHERE digest = $1";
    if execute(tx, sql, &[&bytes(digest)]).await? == 0 {
        return Ok(ConsumeToken::Void);
    }
    if effect.sets_password() {
        sessions::end(tx, SessionsToEnd::Account(token.account, None)).await?;
        let sql = "DELETE FROM account_failures WHERE account = $1";
        execute(tx, sql, &[&uuid(token.account.as_bytes())]).await?;
    }
    accounts::replace(tx, &change).await?;
    mails::enqueue(tx, new_mails).await?;
    Ok(change.into())
}

/// The column `purpose`.
pub(super) fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::VerifyEmail => "verify-email",
        Purpose::Reset => "reset",
        Purpose::ResetByAdministrator => "reset-by-administrator",
        Purpose::ChangeEmail => "change-email",
    }
}

fn read(row: &Row) -> Result<EmailToken, OperationError> {
    let account = account_of(row, "account")?;
    decode(row, || format!("a mailed token of account {account}"))
}
