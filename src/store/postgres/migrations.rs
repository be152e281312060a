//! Migrations: create the tables and bring them to this program's version.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::connection::SCHEMA;
use super::error::OperationError;
use super::row::encode;
use crate::random::Random;
use crate::store::StoreError;
use crate::store::record::Meta;

/// Each migrates the tables from one version to the next. A released one never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
];

/// The table of completed migrations.
const VERSIONS: &str =
    "CREATE TABLE migration (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());";

/// Migrates the tables to this program's version. The caller holds the instance lock.
pub(super) async fn run(client: &Client) -> Result<(), StoreError> {
    require_utf8(client).await?;
    let found = version(client).await?;
    let newest = MIGRATIONS.len();
    if found > newest {
        return Err(StoreError::Refused(format!(
            "the store was made by a newer version of Vestibule (schema {found}, this one knows {newest}); run that \
             version or a later one"
        )));
    }
    for (number, migration) in (1..).zip(MIGRATIONS).skip(found) {
        migrate(client, number, migration).await.map_err(|fault| {
            if fault.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
                let error = StoreError::from(fault);
                StoreError::Refused(format!(
                    "{error}: the role must own the database, or the schema {SCHEMA:?} in it"
                ))
            } else {
                fault.into()
            }
        })?;
        tracing::info!(schema = number, "the store's tables are of another version now");
    }
    Ok(())
}

async fn migrate(client: &Client, number: i32, migration: &str) -> Result<(), OperationError> {
    let mut before = String::new();
    if number == 1 {
        // `CREATE SCHEMA` needs a privilege on the database that the role may lack if the schema was made for
        // it.
        let made = client.query_one("SELECT to_regnamespace($1) IS NOT NULL", &[&SCHEMA]);
        if !made.await?.try_get::<_, bool>(0)? {
            before = format!("CREATE SCHEMA {SCHEMA};");
        }
        before.push_str(VERSIONS);
    }
    let script = format!("BEGIN; {before} {migration} INSERT INTO migration (version) VALUES ({number})");
    let migrated = async {
        client.batch_execute(&script).await?;
        if number == 1 {
            let slot_key = Random::system().bytes();
            let (version, record) = encode(&Meta { slot_key })?;
            let insert = "INSERT INTO store (version, record) VALUES ($1, $2)";
            client.execute(insert, &[&version, &record]).await?;
        }
        client.batch_execute("COMMIT").await?;
        Ok(())
    };
    let outcome = migrated.await;
    if outcome.is_err() {
        client.batch_execute("ROLLBACK").await?;
    }
    outcome
}

/// The version of the tables; 0 if there are none.
async fn version(client: &Client) -> Result<usize, StoreError> {
    let table = format!("{SCHEMA}.migration");
    let there = client
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&table])
        .await;
    if !there
        .and_then(|row| row.try_get::<_, bool>(0))
        .map_err(OperationError::from)?
    {
        return Ok(0);
    }
    let version = client.query_one("SELECT coalesce(max(version), 0) FROM migration", &[]);
    let version: i32 = version
        .await
        .and_then(|row| row.try_get(0))
        .map_err(OperationError::from)?;
    Ok(usize::try_from(version).unwrap_or(0))
}

async fn require_utf8(client: &Client) -> Result<(), StoreError> {
    let encoding = client.query_one("SELECT current_setting('server_encoding')", &[]);
    let encoding: String = encoding
        .await
        .and_then(|row| row.try_get(0))
        .map_err(OperationError::from)?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "the database's encoding is {encoding}; make one with ENCODING 'UTF8'"
    )))
}
