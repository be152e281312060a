//! Signatures that served: each with the moment from which it is of no use to anybody, and is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use super::PostgresStore;
use super::error::OperationError;
use super::row::{encode, execute, micros, query_value};
use crate::model::SignatureDigest;
use crate::store::record::SpentUntil;
use crate::store::{SignatureStore, SpendSignature, StoreError};

#[async_trait]
impl SignatureStore for PostgresStore {
    async fn claim_signature(
        &self,
        digest: SignatureDigest,
        until: Timestamp,
    ) -> Result<SpendSignature, StoreError> {
        self.database
            .with(async |client| self.signatures.claim(client, &digest, until).await)
            .await
    }

    async fn release_signature(&self, digest: SignatureDigest) -> Result<bool, StoreError> {
        self.database
            .with(async |client| self.signatures.release(client, &digest).await)
            .await
    }
}

/// How many are remembered at most: about 150 MB of the database.
const MOST: usize = 1 << 19;

/// Spends signatures, and knows about how many are spent.
#[derive(Clone, Debug)]
pub(super) struct Signatures {
    /// Counted again with every sweep.
    count: Arc<AtomicUsize>,
}

impl Signatures {
    /// Counts those that are there.
    pub(super) async fn open(client: &impl GenericClient) -> Result<Self, OperationError> {
        Ok(Self {
            count: Arc::new(AtomicUsize::new(count(client).await?)),
        })
    }

    /// Spends one, unless it is spent. One whose time is over and that was not forgotten yet is spent as well.
    pub(super) async fn claim(
        &self,
        client: &impl GenericClient,
        digest: &SignatureDigest,
        until: Timestamp,
    ) -> Result<SpendSignature, OperationError> {
        if self.count.load(Ordering::Relaxed) >= MOST {
            let sql = "SELECT EXISTS (SELECT FROM spent_signature WHERE digest = $1)";
            let is_spent = query_value(client, sql, &[&&digest.as_bytes()[..]]).await?;
            return Ok(if is_spent {
                SpendSignature::SpentBefore
            } else {
                SpendSignature::Full
            });
        }
        if insert(client, digest, until).await? {
            self.count.fetch_add(1, Ordering::Relaxed);
            Ok(SpendSignature::Spent)
        } else {
            Ok(SpendSignature::SpentBefore)
        }
    }

    /// Takes one back. Whether it was spent.
    pub(super) async fn release(
        &self,
        client: &impl GenericClient,
        digest: &SignatureDigest,
    ) -> Result<bool, OperationError> {
        let sql = "DELETE FROM spent_signature WHERE digest = $1";
        let given = execute(client, sql, &[&&digest.as_bytes()[..]]).await?;
        let less = |count: usize| Some(count.saturating_sub(given));
        let _ = self
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        Ok(given > 0)
    }

    /// Forgets those whose time is over at `now`.
    pub(super) async fn sweep(
        &self,
        client: &impl GenericClient,
        now: Timestamp,
    ) -> Result<(), OperationError> {
        let sql = "DELETE FROM spent_signature WHERE until < $1";
        execute(client, sql, &[&micros(now)]).await?;
        self.count.store(count(client).await?, Ordering::Relaxed);
        Ok(())
    }
}

/// Keeps one that is new.
pub(super) async fn insert_new(
    client: &impl GenericClient,
    digest: &SignatureDigest,
    until: Timestamp,
) -> Result<(), OperationError> {
    let (version, record) = encode(&SpentUntil(until))?;
    execute(
        client,
        INSERT,
        &[&&digest.as_bytes()[..], &micros(until), &version, &record],
    )
    .await?;
    Ok(())
}

/// Keeps one. Whether it was not there: one statement says so, whoever else tries it at that moment.
async fn insert(
    client: &impl GenericClient,
    digest: &SignatureDigest,
    until: Timestamp,
) -> Result<bool, OperationError> {
    let (version, record) = encode(&SpentUntil(until))?;
    let sql = format!("{INSERT} ON CONFLICT DO NOTHING");
    let inserted = execute(
        client,
        &sql,
        &[&&digest.as_bytes()[..], &micros(until), &version, &record],
    )
    .await?;
    Ok(inserted > 0)
}

const INSERT: &str = "INSERT INTO spent_signature (digest, until, version, record) VALUES ($1, $2, $3, $4)";

async fn count(client: &impl GenericClient) -> Result<usize, OperationError> {
    let count: i64 = query_value(client, "SELECT count(*) FROM spent_signature", &[]).await?;
    Ok(usize::try_from(count).unwrap_or(0))
}
