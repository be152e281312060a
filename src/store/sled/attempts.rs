//! Failure counters and locks, by subject.
//!
//! An existing account or access key has a row of its own, kept until it is removed. Unknown names share a
//! table of bounded size.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::SledStore;
use super::record::{self, Failures, Run, UnknownFailures};
use super::rows::{Rows, WriteBatch};
use super::schema;
use crate::clock::Clock;
use crate::model::{LockoutPolicy, LockoutSubject};
use crate::store::attempt_counter::{self, AttemptCounter, CountedAttempt, ELSEWHERE, WAYS};
use crate::store::{AttemptOutcome, AttemptStore, StoreError};

#[async_trait]
impl AttemptStore for SledStore {
    async fn record_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<AttemptOutcome, StoreError> {
        let attempts = self.open.attempts.clone();
        self.change(move |group| attempts.record(group, subject, policy))
            .await
    }

    async fn clear_attempts(&self, subject: LockoutSubject) -> Result<(), StoreError> {
        let attempts = self.open.attempts.clone();
        self.change(move |group| attempts.clear(group, subject)).await
    }

    async fn withdraw_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<(), StoreError> {
        let attempts = self.open.attempts.clone();
        self.change(move |group| attempts.withdraw(group, subject, policy))
            .await
    }

    async fn locked_for(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<Option<Duration>, StoreError> {
        self.open
            .engine
            .with(|tree| self.open.attempts.locked_for(tree, subject, policy))
    }
}

/// Counts failures and finds the row of each subject.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    counting: AttemptCounter,
    slot_key: [u8; 32],
}

impl Attempts {
    pub(super) fn new(clock: Clock, run: Run, slot_key: [u8; 32]) -> Self {
        Self {
            counting: AttemptCounter::new(clock, run),
            slot_key,
        }
    }

    /// Counts an attempt as a failure, unless the subject is locked.
    pub(super) fn record(
        &self,
        batch: &mut WriteBatch<'_>,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<AttemptOutcome, StoreError> {
        let place = self.place(batch, subject)?;
        let found = place.failures(batch)?;
        let is_new = found.is_none();
        let counted = self.counting.count(found, policy);
        if let CountedAttempt::Failed(failures) = &counted {
            if is_new {
                self.make_room(batch, &place, policy)?;
            }
            self.put(batch, place, failures)?;
        }
        Ok(counted.attempt())
    }

    /// Removes a subject's failures and lock.
    pub(super) fn clear(
        &self,
        batch: &mut WriteBatch<'_>,
        subject: LockoutSubject,
    ) -> Result<(), StoreError> {
        let place = self.place(batch, subject)?;
        if batch.value(place.key())?.is_some() {
            batch.remove(place.into_key());
        }
        Ok(())
    }

    /// Takes back one counted attempt.
    pub(super) fn withdraw(
        &self,
        batch: &mut WriteBatch<'_>,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<(), StoreError> {
        let place = self.place(batch, subject)?;
        let Some(failures) = place.failures(batch)? else {
            return Ok(());
        };
        match self.counting.withdraw(failures, policy) {
            Some(failures) => self.put(batch, place, &failures)?,
            None => batch.remove(place.into_key()),
        }
        Ok(())
    }

    /// Returns how long the subject is still locked.
    pub(super) fn locked_for(
        &self,
        rows: &impl Rows,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<Option<Duration>, StoreError> {
        let failures = self.place(rows, subject)?.failures(rows)?;
        Ok(failures.and_then(|failures| self.left(&failures, policy)))
    }

    /// Returns how long a lock still lasts; `None` if it is over.
    pub(super) fn left(&self, failures: &Failures, policy: LockoutPolicy) -> Option<Duration> {
        self.counting.left(failures, policy)
    }

    /// Finds the row of a subject. An account or access key that does not exist is counted like an unknown
    /// name.
    fn place(&self, rows: &impl Rows, subject: LockoutSubject) -> Result<AttemptKey, StoreError> {
        match subject {
            LockoutSubject::Account(id) if rows.value(&schema::account(id))?.is_some() => {
                return Ok(AttemptKey::OfKnown(schema::attempts(id)));
            }
            LockoutSubject::AccessKey(id) if rows.value(&schema::access_key(id))?.is_some() => {
                return Ok(AttemptKey::OfKnown(schema::key_attempts(id)));
            }
            _ => {}
        }
        let digest = attempt_counter::name_of(subject);
        let set = attempt_counter::set_of(&self.slot_key, &digest);
        Ok(AttemptKey::InSet(set, schema::unknown(set, &digest)))
    }

    /// Evicts a name if the set has no room for this one.
    fn make_room(
        &self,
        batch: &mut WriteBatch<'_>,
        place: &AttemptKey,
        policy: LockoutPolicy,
    ) -> Result<(), StoreError> {
        let AttemptKey::InSet(set, _) = place else {
            return Ok(());
        };
        let rows = batch
            .scan(&schema::unknown_set(*set))
            .collect::<Result<Vec<_>, _>>()?;
        if rows.len() < WAYS {
            return Ok(());
        }
        let mut names = Vec::with_capacity(rows.len());
        for (key, value) in &rows {
            // One that cannot be read stays, and is no matter of another name's.
            if let Ok(name) = record::decode::<UnknownFailures>(key, value) {
                names.push((key, name));
            }
        }
        let names = names.iter().map(|(key, name)| (*key, name));
        if let Some(key) = self.counting.first_to_go(names, policy) {
            batch.remove(key.to_vec());
        }
        Ok(())
    }

    fn put(
        &self,
        batch: &mut WriteBatch<'_>,
        place: AttemptKey,
        failures: &Failures,
    ) -> Result<(), StoreError> {
        match place {
            AttemptKey::OfKnown(key) => batch.put(key, failures),
            AttemptKey::InSet(_, key) => batch.put(
                key,
                &UnknownFailures {
                    last: self.counting.now(),
                    failures: failures.clone(),
                },
            ),
        }
    }

    /// Inserts the failures of a subject that has none. Returns false if it has some already, or if its
    /// account or access key does not exist.
    pub(super) fn insert(
        &self,
        batch: &mut WriteBatch<'_>,
        subject: LockoutSubject,
        failures: &Failures,
        last: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let place = self.place(batch, subject)?;
        let belongs = matches!(place, AttemptKey::InSet(..)) == matches!(subject, LockoutSubject::Unknown(_));
        if !belongs || batch.value(place.key())?.is_some() {
            return Ok(false);
        }
        match place {
            AttemptKey::OfKnown(key) => batch.put(key, failures)?,
            AttemptKey::InSet(..) => {
                self.make_room(batch, &place, ELSEWHERE)?;
                let name = UnknownFailures {
                    last: last.unwrap_or(Timestamp::UNIX_EPOCH),
                    failures: failures.clone(),
                };
                batch.put(place.into_key(), &name)?;
            }
        }
        Ok(true)
    }
}

/// The key of a row of failures.
enum AttemptKey {
    OfKnown(Vec<u8>),
    /// In a set that it shares with other unknown names.
    InSet(u16, Vec<u8>),
}

impl AttemptKey {
    fn key(&self) -> &[u8] {
        match self {
            Self::OfKnown(key) | Self::InSet(_, key) => key,
        }
    }

    fn into_key(self) -> Vec<u8> {
        match self {
            Self::OfKnown(key) | Self::InSet(_, key) => key,
        }
    }

    fn failures(&self, rows: &impl Rows) -> Result<Option<Failures>, StoreError> {
        match self {
            Self::OfKnown(key) => rows.read(key),
            Self::InSet(_, key) => Ok(rows.read::<UnknownFailures>(key)?.map(|name| name.failures)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: LockoutPolicy = LockoutPolicy {
        max_failures: 2,
        duration: Duration::from_mins(20),
    };

    fn name(n: u32) -> LockoutSubject {
        LockoutSubject::unknown(&n.to_string())
    }

    /// Makes `wanted` names that share one set.
    fn rivals(attempts: &Attempts, wanted: usize) -> Vec<LockoutSubject> {
        let set = |subject| match subject {
            LockoutSubject::Unknown(digest) => attempt_counter::set_of(&attempts.slot_key, &digest),
            LockoutSubject::Account(_) | LockoutSubject::AccessKey(_) => unreachable!(),
        };
        (1..)
            .map(name)
            .filter(|&subject| set(subject) == set(name(1)))
            .take(wanted)
            .collect()
    }

    #[test]
    fn a_full_set_gives_up_the_oldest_and_locked_ones_last() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let attempts = Attempts::new(clock, Run(1), [7; 32]);
        let db = ::sled::Config::new().temporary(true).open().unwrap();
        let mut batch = WriteBatch::new(&db);
        let mut fail = |subject| {
            hand.advance(Duration::from_secs(1));
            batch
                .run(|group| attempts.record(group, subject, POLICY))
                .unwrap()
        };

        let rivals = rivals(&attempts, 10);
        let (locked, others) = rivals.split_first().unwrap();
        for _ in 0..3 {
            fail(*locked);
        }
        for &other in &others[..7] {
            assert_eq!(fail(other), AttemptOutcome::Counted(1));
        }
        assert_eq!(
            fail(others[7]),
            AttemptOutcome::Counted(1),
            "the ninth takes a place"
        );
        assert_eq!(
            fail(others[1]),
            AttemptOutcome::Counted(2),
            "the second oldest is still there"
        );
        assert_eq!(
            fail(others[0]),
            AttemptOutcome::Counted(1),
            "the oldest had to go"
        );
        assert!(
            matches!(fail(*locked), AttemptOutcome::Locked(_)),
            "the locked one stayed"
        );
    }

    #[test]
    fn a_set_of_locked_names_still_takes_another() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let attempts = Attempts::new(clock, Run(1), [7; 32]);
        let db = ::sled::Config::new().temporary(true).open().unwrap();
        let mut batch = WriteBatch::new(&db);
        let rivals = rivals(&attempts, 9);
        for &rival in &rivals {
            for n in 1..=3 {
                hand.advance(Duration::from_secs(1));
                let attempt = batch.run(|group| attempts.record(group, rival, POLICY));
                assert_eq!(attempt.unwrap(), AttemptOutcome::Counted(n));
            }
        }
        let locked = |subject| attempts.locked_for(&batch, subject, POLICY).unwrap().is_some();
        assert!(!locked(rivals[0]));
        assert!(rivals[1..].iter().all(|&rival| locked(rival)));
    }
}
