//! Removal of expired rows.

use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;

use super::error::OperationError;
use super::mails;
use super::row::{decode, execute, micros, query};
use crate::clock;
use crate::model::{EmailToken, Invitation};
use crate::store::StoreError;
use crate::store::rules::mails::kept_failures_end;

/// How many rows counts may have before they are put together.
const MANY_COUNTS: i64 = 5_000;

/// Removes what is expired at `now`, except signatures, and sessions made before `sessions_before`.
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
    gather_counts(client).await
}

/// Puts the rows of each count together, once there are many. Rows that others add meanwhile stay.
async fn gather_counts(client: &impl GenericClient) -> Result<(), OperationError> {
    let sql = "WITH gone AS (
            DELETE FROM account_count WHERE (SELECT count(*) FROM account_count) > $1
            RETURNING kind, name, delta
        )
        INSERT INTO account_count
            SELECT kind, name, sum(delta) FROM gone GROUP BY kind, name HAVING sum(delta) <> 0";
    execute(client, sql, &[&MANY_COUNTS]).await?;
    Ok(())
}

/// Removes invitations and e-mail tokens that were made in the future, by a clock that was ahead, and makes
/// mails due that wait for such a time. Unreadable rows are left for `verify` to report.
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

/// Turns an unreadable row into `None`.
fn sound<T>(read: Result<T, OperationError>) -> Result<Option<T>, OperationError> {
    match read {
        Ok(row) => Ok(Some(row)),
        Err(OperationError::Store(StoreError::Corrupt(_))) => Ok(None),
        Err(fault) => Err(fault),
    }
}
