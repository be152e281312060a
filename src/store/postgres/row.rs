//! Rows: a record as JSON and its version, and what is beside them.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::error::OperationError;
use crate::ids::AccountId;
use crate::model::TokenDigest;
use crate::store::record::{RecordError, StoredRecord};
use crate::store::{LoadedRows, StoreError, UnreadableRow};

/// Parameters of a statement.
pub(super) type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

/// The rows that a statement gives.
pub(super) async fn query(
    client: &impl GenericClient,
    sql: &str,
    params: Params<'_>,
) -> Result<Vec<Row>, OperationError> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, params).await?)
}

/// The one row that a statement gives, if it gives one.
pub(super) async fn query_opt(
    client: &impl GenericClient,
    sql: &str,
    params: Params<'_>,
) -> Result<Option<Row>, OperationError> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query_opt(&statement, params).await?)
}

/// What the first column says of the one row that a statement gives.
pub(super) async fn query_value<T: for<'r> FromSql<'r>>(
    client: &impl GenericClient,
    sql: &str,
    params: Params<'_>,
) -> Result<T, OperationError> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query_one(&statement, params).await?.try_get(0)?)
}

/// How many rows a statement changed.
pub(super) async fn execute(
    client: &impl GenericClient,
    sql: &str,
    params: Params<'_>,
) -> Result<usize, OperationError> {
    let statement = client.prepare_cached(sql).await?;
    let changed = client.execute(&statement, params).await?;
    Ok(usize::try_from(changed).unwrap_or(usize::MAX))
}

/// JSON as it was written: PostgreSQL's `json`, which unlike `jsonb` keeps it to the letter and takes any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Json(Vec<u8>);

impl ToSql for Json {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::JSON
    }

    to_sql_checked!();
}

impl<'r> FromSql<'r> for Json {
    fn from_sql(_: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::JSON
    }
}

/// A record as the columns `version` and `record` have it.
pub(super) fn encode(record: &impl StoredRecord) -> Result<(i16, Json), StoreError> {
    let mut bytes = record.encode()?;
    let version = i16::from(bytes.remove(0));
    Ok((version, Json(bytes)))
}

/// The record in the columns `version` and `record`; `name` is the row's, for people.
pub(super) fn decode<T: StoredRecord>(row: &Row, name: impl FnOnce() -> String) -> Result<T, OperationError> {
    let (version, Json(json)): (i16, Json) = (row.try_get("version")?, row.try_get("record")?);
    let version = u8::try_from(version).unwrap_or(0);
    let record = T::decode(version, &json);
    record
        .map_err(|why: RecordError| OperationError::Store(StoreError::Corrupt(format!("{}: {why}", name()))))
}

/// What rows hold. One that cannot be read is no error of the others; its account is the one in `account`, if there is
/// such a column.
pub(super) fn load<T>(
    rows: &[Row],
    account: Option<&str>,
    read: impl Fn(&Row) -> Result<T, OperationError>,
) -> Result<LoadedRows<T>, OperationError> {
    let mut loaded = LoadedRows::default();
    for row in rows {
        match readable(read(row))? {
            Ok(sound) => loaded.sound.push(sound),
            Err(error) => loaded.unreadable.push(UnreadableRow {
                account: account.map(|column| account_of(row, column)).transpose()?,
                error,
            }),
        }
    }
    Ok(loaded)
}

/// What a row holds, or why it cannot be read; any other fault is an error.
pub(super) fn readable<T>(read: Result<T, OperationError>) -> Result<Result<T, StoreError>, OperationError> {
    match read {
        Ok(sound) => Ok(Ok(sound)),
        Err(OperationError::Store(error @ StoreError::Corrupt(_))) => Ok(Err(error)),
        Err(fault) => Err(fault),
    }
}

/// An id as a `uuid`.
pub(super) fn uuid(bytes: &[u8; 16]) -> Uuid {
    Uuid::from_bytes(*bytes)
}

/// The account in a column.
pub(super) fn account_of(row: &Row, column: &str) -> Result<AccountId, OperationError> {
    let id: Uuid = row.try_get(column)?;
    Ok(AccountId::from_bytes(id.into_bytes()))
}

/// A time as a `bigint`.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A token as a `bytea`.
pub(super) fn bytes(digest: &TokenDigest) -> &[u8] {
    digest.as_bytes()
}
