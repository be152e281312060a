//! Statements and rows: queries with prepared statements, and the conversion of columns.

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

/// The parameters of a statement.
pub(super) type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

/// Runs a query and returns its rows.
pub(super) async fn query(
    client: &impl GenericClient,
    sql: &str,
    params: Params<'_>,
) -> Result<Vec<Row>, OperationError> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, params).await?)
}

/// Runs a query that returns one row at most.
pub(super) async fn query_opt(
    client: &impl GenericClient,
    sql: &str,
    params: Params<'_>,
) -> Result<Option<Row>, OperationError> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query_opt(&statement, params).await?)
}

/// Runs a query that returns one row, and returns its first column.
pub(super) async fn query_value<T: for<'r> FromSql<'r>>(
    client: &impl GenericClient,
    sql: &str,
    params: Params<'_>,
) -> Result<T, OperationError> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query_one(&statement, params).await?.try_get(0)?)
}

/// Runs a statement and returns how many rows it affected.
pub(super) async fn execute(
    client: &impl GenericClient,
    sql: &str,
    params: Params<'_>,
) -> Result<usize, OperationError> {
    let statement = client.prepare_cached(sql).await?;
    let changed = client.execute(&statement, params).await?;
    Ok(usize::try_from(changed).unwrap_or(usize::MAX))
}

/// A JSON text in a `json` column, which unlike `jsonb` keeps it byte for byte.
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

/// Encodes a record for the columns `version` and `record`.
pub(super) fn encode(record: &impl StoredRecord) -> Result<(i16, Json), StoreError> {
    let mut bytes = record.encode()?;
    let version = i16::from(bytes.remove(0));
    Ok((version, Json(bytes)))
}

/// Decodes the record in the columns `version` and `record`; `name` names the row in an error.
pub(super) fn decode<T: StoredRecord>(row: &Row, name: impl FnOnce() -> String) -> Result<T, OperationError> {
    let (version, Json(json)): (i16, Json) = (row.try_get("version")?, row.try_get("record")?);
    let version = u8::try_from(version).unwrap_or(0);
    let record = T::decode(version, &json);
    record
        .map_err(|why: RecordError| OperationError::Store(StoreError::Corrupt(format!("{}: {why}", name()))))
}

/// Decodes rows that have a column `account`; unreadable rows are collected apart.
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

/// Converts an id to a `uuid`.
pub(super) fn uuid(bytes: &[u8; 16]) -> Uuid {
    Uuid::from_bytes(*bytes)
}

/// The account id in a column.
pub(super) fn account_of(row: &Row, column: &str) -> Result<AccountId, OperationError> {
    let id: Uuid = row.try_get(column)?;
    Ok(AccountId::from_bytes(id.into_bytes()))
}

/// Converts a time to a `bigint`, in microseconds since 1970.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// Converts a token digest to a `bytea`.
pub(super) fn bytes(digest: &TokenDigest) -> &[u8] {
    digest.as_bytes()
}
