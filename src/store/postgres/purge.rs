//! Removing what is over.

use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;

use super::error::OperationError;
use super::mails;
use super::row::{decode, execute, micros, query};
use crate::clock;
use crate::model::{EmailToken, Invitation};
use crate::store::StoreError;
use crate::store::rules::mails::kept_failures_end;

/// Removes sessions made before `sessions_before`, and what is over at `now`, signatures excepted.
pub(super) async fn run(
    client: &impl GenericClient,
    now: Timestamp,
    sessions_before: Timestamp,
) -> Result<(), OperationError> {
    for (sql, time) in [
        ("DELETE FROM session WHERE created_at < $1", sessions_before),
        ("DELETE FROM invitation WHERE expires_at <= $1", now),
        ("DELETE FROM mailed_token WHERE expires_at <= $1", now),
        ("DELETE FROM mail WHERE failed_at <= $1", kept_failures_end(now)),
        ("DELETE FROM address_mails WHERE counts_until <= $1", now),
    ] {
        execute(client, sql, &[&micros(time)]).await?;
    }
    Ok(())
}

/// Removes invitations and mailed tokens that were made in the future, by a clock that was ahead, and has mails be due that
/// wait for it. What cannot be read is left for `verify` to tell of.
pub(super) async fn forget_future(tx: &Transaction<'_>, now: Timestamp) -> Result<(), OperationError> {
    let mut ahead = Vec::new();
    for row in query(tx, "SELECT digest, id, version, record FROM invitation", &[]).await? {
        let made = sound(decode::<Invitation>(&row, || "an invitation".to_owned()))?;
        if made.is_some_and(|made| clock::is_ahead(made.created_at, now)) {
            ahead.push(row.try_get::<_, Vec<u8>>("digest")?);
        }
    }
    execute(tx, "DELETE FROM invitation WHERE digest = ANY ($1)", &[&ahead]).await?;
    ahead.clear();
    for row in query(tx, "SELECT digest, version, record FROM mailed_token", &[]).await? {
        let token = sound(decode::<EmailToken>(&row, || "a mailed token".to_owned()))?;
        if token.is_some_and(|token| token.is_ahead(now)) {
            ahead.push(row.try_get("digest")?);
        }
    }
    execute(tx, "DELETE FROM mailed_token WHERE digest = ANY ($1)", &[&ahead]).await?;
    mails::hasten(tx, now).await
}

/// What a row holds, if it can be read.
fn sound<T>(read: Result<T, OperationError>) -> Result<Option<T>, OperationError> {
    match read {
        Ok(row) => Ok(Some(row)),
        Err(OperationError::Store(StoreError::Corrupt(_))) => Ok(None),
        Err(fault) => Err(fault),
    }
}
