//! The database, as operations see it.
//!
//! An operation that changes something is one transaction. Whatever it decides by, it has locked before: the row of the
//! account that all else hangs on, or the row that it is about. So it runs at PostgreSQL's default level, and is begun
//! anew only where a unique name was taken, or rows were locked crosswise, at that very moment.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Object, Pool, Transaction};
use futures_util::future::BoxFuture;

use super::connection::Connector;
use super::error::{OperationError, unavailable};
use super::instance_lock::InstanceLock;
use super::{accounts, sessions};
use crate::ids::AccountId;
use crate::model::TokenDigest;
use crate::store::rules::GuardedGroup;
use crate::store::{Precondition, StoreError};

/// How long an operation takes at most.
const LONGEST: Duration = Duration::from_secs(10);

/// The same where it may be about everything that is kept.
const LONGEST_OF_ALL: Duration = Duration::from_mins(5);

/// How often an operation is begun.
const TRIES: u32 = 20;

/// What is done within a transaction.
pub(super) type Work<A, T> =
    for<'t> fn(&'t Transaction<'t>, &'t A) -> BoxFuture<'t, Result<T, OperationError>>;

/// Connections, for as long as nobody else uses the store.
#[derive(Clone, Debug)]
pub(super) struct Database {
    connector: Connector,
    pool: Pool,
    lock: InstanceLock,
    /// Compared within each transaction.
    precondition: Option<Arc<Precondition>>,
    /// Whether nobody may sign in whose address is not verified.
    pub(super) verified_only: bool,
}

impl Database {
    pub(super) fn new(connector: Connector, lock: InstanceLock) -> Result<Self, StoreError> {
        Ok(Self {
            pool: connector.pool()?,
            connector,
            lock,
            precondition: None,
            verified_only: false,
        })
    }

    /// The same connections, whose transactions fail once the precondition does not hold any more.
    pub(super) fn with_precondition(&self, precondition: Precondition) -> Self {
        Self {
            precondition: Some(Arc::new(precondition)),
            ..self.clone()
        }
    }

    /// The same connections; see [`Store::with_verified_only`](crate::store::Store::with_verified_only).
    pub(super) fn with_verified_only(&self, verified_only: bool) -> Self {
        Self {
            verified_only,
            ..self.clone()
        }
    }

    /// The group, for an operation through this handle.
    pub(super) fn guarded(&self, group: &str) -> GuardedGroup {
        GuardedGroup {
            group: group.to_owned(),
            verified_only: self.verified_only,
        }
    }

    /// The session that a change of this account's password leaves alive.
    pub(super) fn spared_session(&self, account: AccountId) -> Option<TokenDigest> {
        Precondition::spared_session(self.precondition.as_deref(), account)
    }

    /// An error while somebody else may use the store.
    pub(super) fn require_lock(&self) -> Result<(), StoreError> {
        self.lock.require()
    }

    /// Does one thing, or nothing. A caller that stops waiting does not stop it.
    pub(super) async fn transact<A, T>(&self, arguments: A, work: Work<A, T>) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.lock.require()?;
        let (pool, precondition) = (self.pool.clone(), self.precondition.clone());
        let done = tokio::spawn(async move {
            let mut tries = 1;
            loop {
                match attempt(&pool, precondition.as_deref(), &arguments, work).await {
                    Err(fault) if fault.is_conflict() && tries < TRIES => {
                        tokio::time::sleep(Duration::from_millis(tries.into())).await;
                        tries += 1;
                    }
                    outcome => return outcome,
                }
            }
        });
        let outcome = done.await;
        Ok(outcome.unwrap_or_else(|_| Err(unavailable("an operation did not finish")))?)
    }

    /// Reads something, or has statements done of which each is whole by itself.
    pub(super) async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&Object) -> Result<T, OperationError>,
    ) -> Result<T, StoreError> {
        self.within(LONGEST, work).await
    }

    /// The same with everything of a kind.
    pub(super) async fn with_all<T>(
        &self,
        work: impl AsyncFnOnce(&Object) -> Result<T, OperationError>,
    ) -> Result<T, StoreError> {
        self.within(LONGEST_OF_ALL, work).await
    }

    async fn within<T>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&Object) -> Result<T, OperationError>,
    ) -> Result<T, StoreError> {
        self.lock.require()?;
        let client = self.pool.get().await.map_err(OperationError::from)?;
        if let Ok(outcome) = tokio::time::timeout(limit, work(&client)).await {
            return Ok(outcome?);
        }
        // Whoever had it next would wait for the same answer.
        drop(Object::take(client));
        Err(too_slow(limit).into())
    }

    /// All of the store as it is now, on a connection that reads nothing else until it is dropped.
    pub(super) async fn snapshot(&self) -> Result<Object, StoreError> {
        self.lock.require()?;
        let client = self.connector.connect().await?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT count(*) FROM store";
        client.batch_execute(begin).await.map_err(OperationError::from)?;
        Ok(client)
    }
}

async fn attempt<A, T>(
    pool: &Pool,
    precondition: Option<&Precondition>,
    arguments: &A,
    work: Work<A, T>,
) -> Result<T, OperationError> {
    let mut client = pool.get().await?;
    let done = tokio::time::timeout(LONGEST, async {
        let transaction = client.transaction().await?;
        if let Some(precondition) = precondition {
            require(&transaction, precondition).await?;
        }
        let outcome = work(&transaction, arguments).await?;
        transaction.commit().await?;
        Ok(outcome)
    });
    if let Ok(outcome) = done.await {
        return outcome;
    }
    drop(Object::take(client));
    Err(too_slow(LONGEST))
}

/// Compares the precondition with rows that nobody else changes until the transaction ends. The account is locked as an
/// operation on it would lock it: one that had shared it could not, if somebody else had done the same.
async fn require(tx: &Transaction<'_>, precondition: &Precondition) -> Result<(), OperationError> {
    let account = accounts::lock(tx, precondition.account).await?;
    let session = sessions::share(tx, &precondition.session).await?;
    precondition.check(account.as_ref(), session.as_ref())?;
    Ok(())
}

fn too_slow(limit: Duration) -> OperationError {
    unavailable(format!(
        "the database did not answer within {} s",
        limit.as_secs()
    ))
}
