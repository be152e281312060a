//! The store in a PostgreSQL database, in the schema `vestibule`.
//!
//! A table for each kind of record: columns for what is searched or unique, and the whole record as JSON in
//! the format of the embedded store. Each operation is one transaction. `instance_lock` keeps other processes
//! out.

mod access_keys;
mod account_pages;
mod accounts;
mod admin_queries;
mod attempts;
mod audit;
mod connection;
mod database;
mod error;
mod export;
mod import;
mod instance_lock;
mod invitations;
mod mails;
mod migrations;
mod paging;
mod purge;
mod row;
mod sessions;
mod signatures;
mod tokens;
mod verify;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

pub use connection::{DatabaseServer, DatabaseTls};

use super::attempt_counter::AttemptCounter;
use super::record::{Meta, Run};
use super::{Precondition, Store, StoreError, Verification};
use crate::clock::Clock;
use crate::model::Administrators;
use crate::random::Random;

use attempts::Attempts;
use audit::AuditLog;
use connection::Connector;
use database::Database;
use instance_lock::InstanceLock;
use signatures::Signatures;

/// Independent changes that share one transaction, at most.
const TOGETHER: usize = 1000;

/// A handle on a store in a database that no other process uses.
#[derive(Debug)]
pub struct PostgresStore {
    database: Database,
    attempts: Attempts,
    signatures: Signatures,
    audit: AuditLog,
}

impl PostgresStore {
    /// Opens the store in a database, creating it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if another process uses it, a newer version made it, or the role may not
    /// create it; the text says what to do. [`StoreError::Corrupt`] if its content cannot be read,
    /// [`StoreError::Unavailable`] if the server cannot be reached or rejects the role.
    pub async fn open(server: &DatabaseServer, clock: Clock) -> Result<Self, StoreError> {
        let connector = Connector::new(server)?;
        let lock = InstanceLock::begin(connector.clone()).await?;
        let database = Database::new(connector, lock)?;
        let opened = database.with_all(async |client| {
            let row = row::query_opt(client, "SELECT version, record FROM store", &[]).await?;
            let row = row.ok_or_else(|| StoreError::Corrupt("its table \"store\" is empty".to_owned()))?;
            let Meta { slot_key } = row::decode(&row, || "the names' key".to_owned())?;
            Ok((
                slot_key,
                Signatures::open(client).await?,
                AuditLog::open(client).await?,
            ))
        });
        let (names_key, signatures, audit) = opened.await?;
        let run = Run(u64::from_be_bytes(Random::system().bytes()));
        Ok(Self {
            database,
            attempts: Attempts {
                counting: AttemptCounter::new(clock, run),
                names_key,
            },
            signatures,
            audit,
        })
    }

    /// Returns whether the database has a store. Creates none.
    pub async fn is_made(server: &DatabaseServer) -> Result<bool, StoreError> {
        let client = Connector::new(server)?.connect().await?;
        let sql = "SELECT to_regclass('vestibule.store') IS NOT NULL";
        Ok(row::query_value(&client, sql, &[]).await?)
    }

    /// Makes a handle on this store over another [`Database`].
    fn over(&self, database: Database) -> Arc<dyn Store> {
        Arc::new(Self {
            database,
            attempts: self.attempts.clone(),
            signatures: self.signatures.clone(),
            audit: self.audit.clone(),
        })
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn with_precondition(&self, precondition: Precondition) -> Arc<dyn Store> {
        self.over(self.database.with_precondition(precondition))
    }

    fn with_administrators(&self, administrators: Administrators) -> Arc<dyn Store> {
        self.over(self.database.with_administrators(administrators))
    }

    fn require_lock(&self) -> Result<(), StoreError> {
        self.database.require_lock()
    }

    async fn forget_future(&self, now: Timestamp) -> Result<(), StoreError> {
        self.database
            .transact(now, |tx, now| Box::pin(purge::forget_future(tx, *now)))
            .await
    }

    async fn sweep(&self, now: Timestamp, sessions_before: Timestamp) -> Result<(), StoreError> {
        self.database
            .with_all(async |client| {
                purge::run(client, now, sessions_before).await?;
                self.signatures.sweep(client, now).await
            })
            .await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        verify::run(&self.database.snapshot().await?).await
    }
}
