//! Spent signatures, for replay protection: each until the time from which it is invalid by itself.

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

/// Signatures remembered at most: about 150 MB of the database.
const MOST: usize = 1 << 19;

/// Claims signatures, and counts those that are stored, approximately.
#[derive(Clone, Debug)]
pub(super) struct Signatures {
    /// Counted anew by every sweep.
    count: Arc<AtomicUsize>,
}

impl Signatures {
    pub(super) async fn open(client: &impl GenericClient) -> Result<Self, OperationError> {
        Ok(Self {
            count: Arc::new(AtomicUsize::new(count(client).await?)),
        })
    }

    /// Claims a signature; the outcome says if it is spent already. An expired one that is not forgotten yet
    /// counts as spent.
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

    /// Releases a signature. Returns whether it was spent.
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

    /// Forgets the signatures that are expired at `now`, and counts the rest.
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

/// Inserts a new signature.
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

/// Inserts a signature unless it is there. Returns whether it did: one statement, so that one of concurrent
/// calls inserts.
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
