//! Transactions on the database: retries, time limits and the check of preconditions.
//!
//! A changing operation is one transaction that first locks what it decides by: the row that it is about, or
//! its account's. So PostgreSQL's default isolation level is enough; a transaction is retried only after a
//! unique violation, a deadlock or a serialisation failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{GenericClient, Object, Pool, Transaction};
use futures_util::future::BoxFuture;

use super::connection::Connector;
use super::error::{OperationError, unavailable};
use super::instance_lock::{InstanceLock, superseded, tenure_lock};
use super::row::query_value;
use super::{accounts, sessions};
use crate::ids::AccountId;
use crate::model::{Administrators, TokenDigest};
use crate::store::{Precondition, StoreError};

/// The longest time for an operation.
const LONGEST: Duration = Duration::from_secs(10);

/// The longest time for an operation over all rows of a kind.
const LONGEST_OF_ALL: Duration = Duration::from_mins(5);

/// Attempts at a transaction, at most.
const TRIES: u32 = 20;

/// The work of a transaction. A function pointer, since a retry runs it again.
pub(super) type Work<A, T> =
    for<'t> fn(&'t Transaction<'t>, &'t A) -> BoxFuture<'t, Result<T, OperationError>>;

/// The pool of connections, usable while the instance lock is held.
#[derive(Clone, Debug)]
pub(super) struct Database {
    connector: Connector,
    pool: Pool,
    lock: InstanceLock,
    /// Checked inside each transaction.
    precondition: Option<Arc<Precondition>>,
    /// The last of them stays. A transaction during which their rule was replaced is made again.
    pub(super) administrators: Administrators,
}

impl Database {
    pub(super) fn new(connector: Connector, lock: InstanceLock) -> Result<Self, StoreError> {
        Ok(Self {
            pool: connector.pool()?,
            connector,
            lock,
            precondition: None,
            administrators: Administrators::none(),
        })
    }

    /// Makes a handle on these connections whose transactions fail once the precondition no longer holds.
    pub(super) fn with_precondition(&self, precondition: Precondition) -> Self {
        Self {
            precondition: Some(Arc::new(precondition)),
            ..self.clone()
        }
    }

    /// Makes a handle on these connections; see
    /// [`Store::with_administrators`](crate::store::Store::with_administrators).
    pub(super) fn with_administrators(&self, administrators: Administrators) -> Self {
        Self {
            administrators,
            ..self.clone()
        }
    }

    /// The session that a change of this account's password leaves alive.
    pub(super) fn spared_session(&self, account: AccountId) -> Option<TokenDigest> {
        Precondition::spared_session(self.precondition.as_deref(), account)
    }

    /// Fails unless this process holds the instance lock.
    pub(super) fn require_lock(&self) -> Result<(), StoreError> {
        self.lock.require()
    }

    /// Runs a transaction, with retries. Dropping the future does not cancel it.
    pub(super) async fn transact<A, T>(&self, arguments: A, work: Work<A, T>) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.lock.require()?;
        let pool = self.pool.clone();
        let plan = Plan {
            tenure: self.lock.tenure(),
            precondition: self.precondition.clone(),
            administrators: self.administrators.clone(),
            arguments: Arc::new(arguments),
            work,
        };
        let done = tokio::spawn(async move {
            let mut tries = 1;
            loop {
                match plan.attempt(&pool).await {
                    Err(fault) if fault.is_conflict() && tries < TRIES => {
                        tokio::time::sleep(Duration::from_millis(tries.into())).await;
                        tries += 1;
                    }
                    outcome => return outcome,
                }
            }
        });
        let outcome = done.await;
        Ok(outcome.unwrap_or_else(|_| Err(unknown("an operation did not finish")))?)
    }

    /// Runs reads, or statements of which each is atomic by itself and does no harm if a former gateway made it: claims
    /// of signatures, and sweeps of what expired.
    pub(super) async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&Object) -> Result<T, OperationError>,
    ) -> Result<T, StoreError> {
        self.within(LONGEST, work).await
    }

    /// As [`with`](Self::with), for all rows of a kind.
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
        drop(BusyConnection(Some(client)));
        Err(too_slow(limit).into())
    }

    /// Begins a read-only snapshot of the whole store, on a connection of its own.
    pub(super) async fn snapshot(&self) -> Result<Object, StoreError> {
        self.lock.require()?;
        let client = self.connector.connect().await?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT count(*) FROM store";
        client.batch_execute(begin).await.map_err(OperationError::from)?;
        Ok(client)
    }
}

/// A transaction that is to be made.
struct Plan<A, T> {
    tenure: i64,
    precondition: Option<Arc<Precondition>>,
    administrators: Administrators,
    arguments: Arc<A>,
    work: Work<A, T>,
}

impl<A: Send + Sync + 'static, T: Send + 'static> Plan<A, T> {
    async fn attempt(&self, pool: &Pool) -> Result<T, OperationError> {
        let mut connection = BusyConnection(Some(pool.get().await?));
        let plan = self.clone();
        let commits = Arc::new(AtomicBool::new(false));
        let begun = commits.clone();
        let mut done = Box::pin(async move {
            let outcome = match &mut connection.0 {
                Some(client) => plan.run(client, &begun).await,
                None => Err(unavailable("the connection is gone")),
            };
            connection.release();
            outcome
        });
        let outcome = tokio::time::timeout(LONGEST, &mut done).await;
        let commits = commits.load(Ordering::Relaxed);
        match outcome {
            Ok(Err(fault)) if commits && !fault.is_decided() => {
                Err(unknown(&StoreError::from(fault).reason()))
            }
            Ok(outcome) => outcome,
            Err(_) if commits => {
                // The server's session goes on waiting whether this end is there or not. It keeps its connection of the
                // pool, so that there are never more of them than connections. TCP ends it if the server is gone.
                tokio::spawn(done);
                Err(unknown(&format!(
                    "the database did not answer a commit within {} s",
                    LONGEST.as_secs()
                )))
            }
            Err(_) => Err(too_slow(LONGEST)),
        }
    }

    /// Sets `commits` when the commit begins.
    async fn run(&self, client: &mut Object, commits: &AtomicBool) -> Result<T, OperationError> {
        let transaction = client.transaction().await?;
        let rule = self.administrators.current();
        require_tenure(&transaction, self.tenure).await?;
        if let Some(precondition) = &self.precondition {
            require(&transaction, precondition).await?;
        }
        let outcome = (self.work)(&transaction, &self.arguments).await?;
        // What waited for a row was judged by the rule before it.
        if !self.administrators.is_current(&rule) {
            return Err(OperationError::RuleReplaced);
        }
        commits.store(true, Ordering::Relaxed);
        transaction.commit().await?;
        Ok(outcome)
    }
}

impl<A, T> Clone for Plan<A, T> {
    fn clone(&self) -> Self {
        Self {
            tenure: self.tenure,
            precondition: self.precondition.clone(),
            administrators: self.administrators.clone(),
            arguments: self.arguments.clone(),
            work: self.work,
        }
    }
}

/// A connection of the pool on which a statement is under way. If it is dropped meanwhile it leaves the pool, since
/// its next user would wait for the response.
struct BusyConnection(Option<Object>);

impl BusyConnection {
    /// Gives the connection back.
    fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for BusyConnection {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}

/// Fails if another process has taken the store since; none takes it before the transaction ends.
///
/// Limits each statement and each pause as the whole is limited here: the server would go on waiting for a lock on a
/// connection that was given up, or for a gateway that was frozen within a transaction. It has no such limit for a commit:
/// one that waits for a standby and is cancelled counts as made, so its connection is kept.
pub(super) async fn require_tenure(tx: &impl GenericClient, tenure: i64) -> Result<(), OperationError> {
    let sql = "SELECT CASE WHEN pg_try_advisory_xact_lock_shared($2, $3) THEN tenure END
         FROM store, set_config('statement_timeout', $1, true) AS statement, \
             set_config('idle_in_transaction_session_timeout', $1, true) AS pause";
    let (limit, (class, object)) = (LONGEST.as_millis().to_string(), tenure_lock(tenure));
    let found: Option<i64> = query_value(tx, sql, &[&limit, &class, &object]).await?;
    if found == Some(tenure) {
        Ok(())
    } else {
        Err(OperationError::Store(superseded()))
    }
}

/// Checks the precondition under locks that last until the transaction ends. Takes the account's exclusive
/// lock at once: two transactions that upgraded a shared one would deadlock.
async fn require(tx: &Transaction<'_>, precondition: &Precondition) -> Result<(), OperationError> {
    let account = accounts::lock(tx, precondition.account).await?;
    let session = match &precondition.session {
        Some(session) => sessions::share(tx, session).await?,
        None => None,
    };
    precondition.check(account.as_ref(), session.as_ref())?;
    Ok(())
}

/// The error of a transaction whose commit was sent and not answered.
fn unknown(why: &str) -> OperationError {
    OperationError::Store(StoreError::OutcomeUnknown(format!(
        "{why}; whether the change was made is not known yet"
    )))
}

fn too_slow(limit: Duration) -> OperationError {
    unavailable(format!(
        "the database did not answer within {} s",
        limit.as_secs()
    ))
}
