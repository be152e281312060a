//! Spent signatures, for replay protection: each until the time from which it is invalid by itself.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::sled::IVec;
use async_trait::async_trait;
use jiff::Timestamp;

use super::SledStore;
use super::engine::Engine;
use super::record::SpentUntil;
use super::rows::{Rows, WriteBatch};
use super::schema::{self, RowKind};
use crate::model::SignatureDigest;
use crate::store::{SignatureStore, SpendSignature, StoreError};

#[async_trait]
impl SignatureStore for SledStore {
    async fn claim_signature(
        &self,
        digest: SignatureDigest,
        until: Timestamp,
    ) -> Result<SpendSignature, StoreError> {
        let signatures = self.open.signatures.clone();
        self.open
            .committer
            .run(move |group| signatures.claim(group, &digest, until))
            .await
    }

    async fn release_signature(&self, digest: SignatureDigest) -> Result<bool, StoreError> {
        let signatures = self.open.signatures.clone();
        self.open
            .committer
            .run_then(
                move |group| release(group, &digest),
                move |was_spent| signatures.make_room(usize::from(*was_spent)),
            )
            .await
    }
}

/// Signatures remembered at most: about 100 MB on disk.
const MOST: usize = 1 << 19;

/// Claims signatures and counts those that are stored.
#[derive(Clone, Debug)]
pub(super) struct Signatures {
    /// Never less than the number of stored rows.
    count: Arc<AtomicUsize>,
    most: usize,
}

impl Signatures {
    /// Counts the stored signatures.
    pub(super) fn open(engine: &Engine) -> Result<Self, StoreError> {
        let mut count = 0;
        engine.pieces(&RowKind::Signature.prefix(), None, |_, rows| {
            count += rows.len();
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Self {
            count: Arc::new(AtomicUsize::new(count)),
            most: MOST,
        })
    }

    /// Claims a signature; the outcome says if it is spent already. An expired one that is not forgotten yet
    /// counts as spent.
    pub(super) fn claim(
        &self,
        batch: &mut WriteBatch<'_>,
        digest: &SignatureDigest,
        until: Timestamp,
    ) -> Result<SpendSignature, StoreError> {
        let key = schema::signature(digest);
        if batch.value(&key)?.is_some() {
            return Ok(SpendSignature::SpentBefore);
        }
        if self.count.load(Ordering::Relaxed) >= self.most {
            return Ok(SpendSignature::Full);
        }
        insert(batch, digest, until)?;
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok(SpendSignature::Spent)
    }

    /// Counts so many signatures less, once their removal is durable: a removal that failed made no room.
    pub(super) fn make_room(&self, removed: usize) {
        // No race: this runs on the committer's thread alone, as claims do.
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count.saturating_sub(removed), Ordering::Relaxed);
    }
}

/// Releases a signature. Returns whether it was spent.
fn release(batch: &mut WriteBatch<'_>, digest: &SignatureDigest) -> Result<bool, StoreError> {
    let key = schema::signature(digest);
    let Some(SpentUntil(until)) = batch.read(&key)? else {
        return Ok(false);
    };
    batch.remove(key);
    batch.remove(schema::signature_end(until, digest));
    Ok(true)
}

/// Forgets the signatures of these index rows, found by [`expired`]. Returns how many there were.
pub(super) fn forget(batch: &mut WriteBatch<'_>, ends: &[IVec]) -> Result<usize, StoreError> {
    let mut forgotten = 0;
    for digest in ends.iter().filter_map(|end| schema::trailing_signature(end)) {
        forgotten += usize::from(release(batch, &digest)?);
    }
    Ok(forgotten)
}

/// Inserts a new signature and its index row.
pub(super) fn insert(
    batch: &mut WriteBatch<'_>,
    digest: &SignatureDigest,
    until: Timestamp,
) -> Result<(), StoreError> {
    batch.put(schema::signature(digest), &SpentUntil(until))?;
    batch.put(schema::signature_end(until, digest), &())
}

/// The index rows of signatures that are expired at `now`, earliest first.
pub(super) fn expired(engine: &Engine, now: Timestamp) -> Result<Vec<IVec>, StoreError> {
    let end = IVec::from(schema::signature_ends_before(now));
    let mut over = Vec::new();
    engine.pieces(&RowKind::SignatureEnd.prefix(), None, |_, rows| {
        let found = rows.iter().map(|(key, _)| key);
        over.extend(found.take_while(|key| **key < end).cloned());
        let is_all = rows.last().is_some_and(|(key, _)| *key < end);
        Ok(if is_all {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    })?;
    Ok(over)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_refuses_and_has_room_again_when_one_is_forgotten() {
        let db = ::sled::Config::new().temporary(true).open().unwrap();
        let mut batch = WriteBatch::new(&db);
        let signatures = Signatures {
            count: Arc::default(),
            most: 2,
        };
        let until = Timestamp::UNIX_EPOCH;
        let digest = |n: u8| SignatureDigest::of("AKIA", &[n]);
        let spend = |batch: &mut WriteBatch<'_>, n| {
            let spent = batch.run(|group| signatures.claim(group, &digest(n), until));
            spent.unwrap()
        };
        assert_eq!(spend(&mut batch, 1), SpendSignature::Spent);
        assert_eq!(spend(&mut batch, 1), SpendSignature::SpentBefore);
        assert_eq!(spend(&mut batch, 2), SpendSignature::Spent);
        assert_eq!(spend(&mut batch, 3), SpendSignature::Full);
        let back = batch.run(|group| release(group, &digest(1)));
        assert!(back.unwrap());
        assert_eq!(spend(&mut batch, 2), SpendSignature::SpentBefore);
        assert_eq!(
            spend(&mut batch, 3),
            SpendSignature::Full,
            "its removal may yet fail"
        );
        signatures.make_room(1);
        assert_eq!(spend(&mut batch, 3), SpendSignature::Spent);
        assert_eq!(spend(&mut batch, 1), SpendSignature::Full);
    }
}
