//! Failed attempts and locks.
//!
//! A known account or access key has a row of its own, which goes with it; names that belong to nobody share a table.
//! Whoever counts has locked the account, the key or the name's set before, so each attempt sees those before it. How
//! long a lock lasts is measured by this process's monotonic clock, so that is no matter of one statement's.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::PostgresStore;
use super::error::OperationError;
use super::row::{account_of, decode, encode, execute, query, query_opt, uuid};
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

/// The first number of the locks on sets of names: `name`.
const NAMES: i32 = 0x6e61_6d65;

/// Counts, and knows where.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    pub(super) counting: AttemptCounter,
    pub(super) names_key: [u8; 32],
}

/// Whose row of failures.
pub(super) enum AttemptKey {
    Account(AccountId),
    AccessKey(AccessKeyId),
    /// In a set that it shares with other names.
    Name(u16, [u8; 32]),
}

impl Attempts {
    /// Counts an attempt, unless the subject is locked.
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

    /// For how long a subject is locked, as far as one look tells. Nothing is written for whoever is: to lock an account's
    /// row is to write, and by the time that takes it would be told that there is one (S13).
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

    /// Forgets failures and lock.
    pub(super) async fn clear(
        &self,
        tx: &Transaction<'_>,
        subject: LockoutSubject,
    ) -> Result<(), OperationError> {
        self.lock(tx, subject).await?.remove(tx).await
    }

    /// Takes an attempt back.
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

    /// For how long the subject is still locked.
    pub(super) async fn locked_for(
        &self,
        client: &impl GenericClient,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<Option<Duration>, OperationError> {
        let failures = self.find(client, subject, "").await?.failures(client).await?;
        Ok(failures.and_then(|failures| self.counting.left(&failures, policy)))
    }

    /// The locks that are in force.
    pub(super) async fn locks(
        &self,
        client: &impl GenericClient,
        policy: LockoutPolicy,
    ) -> Result<Locks, OperationError> {
        let mut locks = Locks::default();
        let sql = "SELECT account, version, record FROM account_failures ORDER BY account";
        for row in query(client, sql, &[]).await? {
            let id = account_of(&row, "account")?;
            let failures: Failures = decode(&row, || format!("the failures of account {id}"))?;
            let left = self.counting.left(&failures, policy);
            locks.accounts.extend(left.map(|left| (id, left)));
        }
        let sql = "SELECT access_key, version, record FROM access_key_failures ORDER BY access_key";
        for row in query(client, sql, &[]).await? {
            let id: &str = row.try_get("access_key")?;
            let failures: Failures = decode(&row, || format!("the failures of access key {id}"))?;
            if let (Some(left), Ok(id)) = (
                self.counting.left(&failures, policy),
                AccessKeyId::parse(id.as_bytes()),
            ) {
                locks.access_keys.push((id, left));
            }
        }
        for row in query(client, "SELECT version, record FROM name_failures", &[]).await? {
            let name = name_failures(&row)?;
            locks.unknown += usize::from(self.counting.left(&name.failures, policy).is_some());
        }
        Ok(locks)
    }

    /// Where a subject's failures are, which nobody else reads or writes until the transaction ends.
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

    /// Where a subject's failures are. An account that was removed meanwhile has no row of its own: what is tried there
    /// counts like what is tried at an unknown name. So does an access key that does not exist.
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

/// Lets another name of a set go if there is no room for one more.
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
        names.push((row.try_get("digest")?, name_failures(row)?));
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

    /// Keeps failures where there are none.
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
