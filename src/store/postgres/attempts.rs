//! Failure counters and locks, by subject.
//!
//! An existing account or access key has a row of its own, removed with it; unknown names share a table of
//! bounded size. A counting operation first locks the account, the key or the name's set, so attempts are
//! serialised. The duration of a lock is measured by this process's monotonic clock, so counting is not one
//! SQL statement.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::PostgresStore;
use super::error::OperationError;
use super::row::{account_of, decode, encode, execute, query, query_opt, readable, uuid};
use crate::ids::AccountId;
use crate::model::{AccessKeyId, LockoutPolicy, LockoutSubject};
use crate::store::attempt_counter::{self, AttemptCounter, CountedAttempt, WAYS};
use crate::store::record::{Failures, UnknownFailures};
use crate::store::{AttemptOutcome, AttemptStore, Locks, StoreError};

#[async_trait]
impl AttemptStore for PostgresStore {
    async fn record_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<AttemptOutcome, StoreError> {
        self.database
            .transact(
                (self.attempts.clone(), subject, policy),
                |tx, (attempts, subject, policy)| Box::pin(attempts.record(tx, *subject, *policy)),
            )
            .await
    }

    async fn clear_attempts(&self, subject: LockoutSubject) -> Result<(), StoreError> {
        self.database
            .transact((self.attempts.clone(), subject), |tx, (attempts, subject)| {
                Box::pin(attempts.clear(tx, *subject))
            })
            .await
    }

    async fn withdraw_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<(), StoreError> {
        self.database
            .transact(
                (self.attempts.clone(), subject, policy),
                |tx, (attempts, subject, policy)| Box::pin(attempts.withdraw(tx, *subject, *policy)),
            )
            .await
    }

    async fn locked_for(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<Option<Duration>, StoreError> {
        self.database
            .with(async |client| self.attempts.locked_for(client, subject, policy).await)
            .await
    }
}

/// The first number of the advisory locks on sets of names: `name`.
const NAMES: i32 = 0x6e61_6d65;

/// Counts failures and finds the row of each subject.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    pub(super) counting: AttemptCounter,
    pub(super) names_key: [u8; 32],
}

/// The key of a row of failures.
pub(super) enum AttemptKey {
    Account(AccountId),
    AccessKey(AccessKeyId),
    /// An unknown name: its set and digest.
    Name(u16, [u8; 32]),
}

impl Attempts {
    /// Counts an attempt as a failure, unless the subject is locked.
    pub(super) async fn record(
        &self,
        tx: &Transaction<'_>,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<AttemptOutcome, OperationError> {
        if let Some(left) = self.seen_locked(tx, subject, policy).await? {
            return Ok(AttemptOutcome::Locked(left));
        }
        let place = self.lock(tx, subject).await?;
        let found = place.failures(tx).await?;
        let is_new = found.is_none();
        let counted = self.counting.count(found, policy);
        if let CountedAttempt::Failed(failures) = &counted {
            if let (true, AttemptKey::Name(set, _)) = (is_new, &place) {
                make_room(&self.counting, tx, *set, policy).await?;
            }
            self.put(tx, &place, failures.clone()).await?;
        }
        Ok(counted.attempt())
    }

    /// Returns how long the subject is locked, by a read alone. A locked subject causes no write: the row
    /// lock on an account would be one, and its time would reveal that the account exists (S13).
    async fn seen_locked(
        &self,
        tx: &Transaction<'_>,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<Option<Duration>, OperationError> {
        let place = match subject {
            LockoutSubject::Account(id) => AttemptKey::Account(id),
            LockoutSubject::AccessKey(id) => AttemptKey::AccessKey(id),
            LockoutSubject::Unknown(_) => self.among_names(subject),
        };
        let failures = place.failures(tx).await?;
        Ok(failures.and_then(|failures| self.counting.left(&failures, policy)))
    }

    /// Removes a subject's failures and lock.
    pub(super) async fn clear(
        &self,
        tx: &Transaction<'_>,
        subject: LockoutSubject,
    ) -> Result<(), OperationError> {
        self.lock(tx, subject).await?.remove(tx).await
    }

    /// Takes back one counted attempt.
    pub(super) async fn withdraw(
        &self,
        tx: &Transaction<'_>,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<(), OperationError> {
        let place = self.lock(tx, subject).await?;
        let Some(failures) = place.failures(tx).await? else {
            return Ok(());
        };
        match self.counting.withdraw(failures, policy) {
            Some(failures) => self.put(tx, &place, failures).await,
            None => place.remove(tx).await,
        }
    }

    /// Returns how long the subject is still locked.
    pub(super) async fn locked_for(
        &self,
        client: &impl GenericClient,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<Option<Duration>, OperationError> {
        let failures = self.find(client, subject, "").await?.failures(client).await?;
        Ok(failures.and_then(|failures| self.counting.left(&failures, policy)))
    }

    /// All locks in force.
    pub(super) async fn locks(
        &self,
        client: &impl GenericClient,
        policy: LockoutPolicy,
    ) -> Result<Locks, OperationError> {
        let mut locks = Locks::default();
        let sql = "SELECT account, version, record FROM account_failures ORDER BY account";
        for row in query(client, sql, &[]).await? {
            let id = account_of(&row, "account")?;
            match readable(decode::<Failures>(&row, || {
                format!("the failures of account {id}")
            }))? {
                Ok(failures) => {
                    let left = self.counting.left(&failures, policy);
                    locks.accounts.extend(left.map(|left| (id, left)));
                }
                Err(error) => locks.unreadable.push(error.reason()),
            }
        }
        let sql = "SELECT access_key, version, record FROM access_key_failures ORDER BY access_key";
        for row in query(client, sql, &[]).await? {
            let id: String = row.try_get("access_key")?;
            let read = readable(decode::<Failures>(&row, || {
                format!("the failures of access key {id}")
            }))?;
            match (read, AccessKeyId::parse(id.as_bytes())) {
                (Ok(failures), Ok(id)) => {
                    let left = self.counting.left(&failures, policy);
                    locks.access_keys.extend(left.map(|left| (id, left)));
                }
                (Ok(_), Err(_)) => {}
                (Err(error), _) => locks.unreadable.push(error.reason()),
            }
        }
        let (mut unreadable, mut why) = (0, String::new());
        for row in query(client, "SELECT version, record FROM name_failures", &[]).await? {
            match readable(name_failures(&row))? {
                Ok(name) => {
                    locks.unknown += usize::from(self.counting.left(&name.failures, policy).is_some());
                }
                Err(error) => {
                    unreadable += 1;
                    why = error.reason();
                }
            }
        }
        locks.add_unreadable_names(unreadable, &why);
        Ok(locks)
    }

    /// Finds the row of a subject and locks it against other operations until the transaction ends.
    async fn lock(
        &self,
        tx: &Transaction<'_>,
        subject: LockoutSubject,
    ) -> Result<AttemptKey, OperationError> {
        let place = self.find(tx, subject, "FOR NO KEY UPDATE").await?;
        if let AttemptKey::Name(set, _) = place {
            let sql = "SELECT pg_advisory_xact_lock($1, $2)";
            query_opt(tx, sql, &[&NAMES, &i32::from(set)]).await?;
        }
        Ok(place)
    }

    /// Finds the row of a subject. An account or access key that does not exist is counted like an unknown
    /// name. `locked` is the locking clause of the query.
    async fn find(
        &self,
        client: &impl GenericClient,
        subject: LockoutSubject,
        locked: &str,
    ) -> Result<AttemptKey, OperationError> {
        match subject {
            LockoutSubject::Account(id) => {
                let sql = format!("SELECT FROM account WHERE id = $1 {locked}");
                if query_opt(client, &sql, &[&uuid(id.as_bytes())]).await?.is_some() {
                    return Ok(AttemptKey::Account(id));
                }
            }
            LockoutSubject::AccessKey(id) => {
                let sql = format!("SELECT FROM access_key WHERE id = $1 {locked}");
                if query_opt(client, &sql, &[&id.as_str()]).await?.is_some() {
                    return Ok(AttemptKey::AccessKey(id));
                }
            }
            LockoutSubject::Unknown(_) => {}
        }
        Ok(self.among_names(subject))
    }

    fn among_names(&self, subject: LockoutSubject) -> AttemptKey {
        let digest = attempt_counter::name_of(subject);
        AttemptKey::Name(attempt_counter::set_of(&self.names_key, &digest), digest)
    }

    async fn put(
        &self,
        tx: &Transaction<'_>,
        place: &AttemptKey,
        failures: Failures,
    ) -> Result<(), OperationError> {
        place.remove(tx).await?;
        place.insert(tx, failures, self.counting.now()).await
    }
}

/// Evicts a name of the set if it has no room for one more.
pub(super) async fn make_room(
    counting: &AttemptCounter,
    client: &impl GenericClient,
    set: u16,
    policy: LockoutPolicy,
) -> Result<(), OperationError> {
    let sql = "SELECT digest, version, record FROM name_failures WHERE set = $1";
    let rows = query(client, sql, &[&i32::from(set)]).await?;
    if rows.len() < WAYS {
        return Ok(());
    }
    let mut names: Vec<(Vec<u8>, UnknownFailures)> = Vec::with_capacity(rows.len());
    for row in &rows {
        // One that cannot be read stays, and is no matter of another name's.
        if let Ok(name) = readable(name_failures(row))? {
            names.push((row.try_get("digest")?, name));
        }
    }
    let names = names.iter().map(|(digest, name)| (digest, name));
    if let Some(digest) = counting.first_to_go(names, policy) {
        let sql = "DELETE FROM name_failures WHERE set = $1 AND digest = $2";
        execute(client, sql, &[&i32::from(set), digest]).await?;
    }
    Ok(())
}

impl AttemptKey {
    async fn failures(&self, client: &impl GenericClient) -> Result<Option<Failures>, OperationError> {
        let row = match self {
            Self::Account(id) => {
                let sql = "SELECT version, record FROM account_failures WHERE account = $1";
                query_opt(client, sql, &[&uuid(id.as_bytes())]).await?
            }
            Self::AccessKey(id) => {
                let sql = "SELECT version, record FROM access_key_failures WHERE access_key = $1";
                query_opt(client, sql, &[&id.as_str()]).await?
            }
            Self::Name(set, digest) => {
                let sql = "SELECT version, record FROM name_failures WHERE set = $1 AND digest = $2";
                let row = query_opt(client, sql, &[&i32::from(*set), &&digest[..]]).await?;
                return row.map(|row| Ok(name_failures(&row)?.failures)).transpose();
            }
        };
        row.map(|row| decode(&row, || "failures".to_owned())).transpose()
    }

    /// Inserts failures where there are none.
    pub(super) async fn insert(
        &self,
        client: &impl GenericClient,
        failures: Failures,
        last: jiff::Timestamp,
    ) -> Result<(), OperationError> {
        match self {
            Self::Account(id) => {
                let (version, record) = encode(&failures)?;
                let sql = "INSERT INTO account_failures (account, version, record) VALUES ($1, $2, $3)";
                execute(client, sql, &[&uuid(id.as_bytes()), &version, &record]).await?;
            }
            Self::AccessKey(id) => {
                let (version, record) = encode(&failures)?;
                let sql = "INSERT INTO access_key_failures (access_key, version, record) VALUES ($1, $2, $3)";
                execute(client, sql, &[&id.as_str(), &version, &record]).await?;
            }
            Self::Name(set, digest) => {
                let (version, record) = encode(&UnknownFailures { last, failures })?;
                let sql = "INSERT INTO name_failures (set, digest, version, record) VALUES ($1, $2, $3, $4)";
                execute(client, sql, &[&i32::from(*set), &&digest[..], &version, &record]).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, tx: &Transaction<'_>) -> Result<(), OperationError> {
        match self {
            Self::Account(id) => {
                let sql = "DELETE FROM account_failures WHERE account = $1";
                execute(tx, sql, &[&uuid(id.as_bytes())]).await?;
            }
            Self::AccessKey(id) => {
                let sql = "DELETE FROM access_key_failures WHERE access_key = $1";
                execute(tx, sql, &[&id.as_str()]).await?;
            }
            Self::Name(set, digest) => {
                let sql = "DELETE FROM name_failures WHERE set = $1 AND digest = $2";
                execute(tx, sql, &[&i32::from(*set), &&digest[..]]).await?;
            }
        }
        Ok(())
    }
}

pub(super) fn name_failures(row: &Row) -> Result<UnknownFailures, OperationError> {
    decode(row, || "the failures of a name that belongs to nobody".to_owned())
}
