//! The instance lock: one process at a time uses the store.
//!
//! A gateway serves from memory what it has read or written, so no other process may write. It holds an
//! advisory lock of the database on a connection of its own. If that breaks, the gateway reads and writes
//! nothing and serves nothing from memory until it has the lock again; and never again if another process had
//! the lock meanwhile, because its memory may be stale. The server may keep the session of a broken connection,
//! and the lock with it, so the gateway closes its own end and terminates that session before it tries again.
//!
//! A process that takes the lock counts itself in `store.tenure`. What its predecessor had begun would be stored after
//! this process has read the store, so each transaction compares the count and holds the advisory lock of its tenure,
//! shared, until it ends. The successor takes that lock exclusively before it raises the count: it has waited for the
//! transactions that had it, whatever role they are of, and those that begin later find another count. Sessions of its
//! own role that wait are terminated at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{sleep, timeout};
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, Row};

use super::connection::{APPLICATION_NAME, Connector};
use super::error::{OperationError, unavailable};
use super::migrations;
use crate::store::StoreError;

/// The advisory lock's numbers: `vest`, and the first of Vestibule's locks.
const LOCK: (i32, i32) = (0x7665_7374, 1);

/// The first number of the advisory locks of tenures: `vesu`. The second is the tenure.
const TENURE_LOCKS: i32 = 0x7665_7375;

/// How often, and how far apart, a start tries to take the lock from a process that may be about to end:
/// three seconds in all.
const LOOKS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(50);

/// How often a start looks whether the transactions of its predecessor have ended. Their statements have time limits.
const LOOKS_AT_TRANSACTIONS: u32 = 500;

/// The interval of probes of the connection.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How long a probe, a dial or a statement about the lock may take before the connection counts as broken.
const SILENCE: Duration = Duration::from_secs(5);

/// For how long the lock counts as held after it was seen to be: a probe and its interval, and a second for a busy machine.
/// A process that was stopped for longer may have lost it, and must not serve before the next probe.
const TRUSTED: Duration = HEARTBEAT
    .saturating_add(SILENCE)
    .saturating_add(Duration::from_secs(1));

/// The interval of attempts to take the lock again.
const RETRY: Duration = Duration::from_millis(500);

/// The right to use the store; released when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct InstanceLock(Arc<HeldLock>);

#[derive(Debug)]
struct HeldLock {
    /// The store's count of lock holders when this process took the lock.
    tenure: i64,
    state: Arc<LockState>,
    keeper: AbortHandle,
}

/// What is known of the lock.
#[derive(Debug)]
struct LockState {
    holder: AtomicU8,
    /// When it was last known to be held, in milliseconds of [`since_boot`].
    seen: AtomicU64,
}

impl LockState {
    /// The lock was held at `seen`.
    fn held_at(seen: Duration) -> Self {
        let state = Self {
            holder: AtomicU8::new(UNKNOWN),
            seen: AtomicU64::new(0),
        };
        state.confirm(seen);
        state
    }

    /// The lock was held at `seen`, and nothing else is known since.
    fn confirm(&self, seen: Duration) {
        let seen = u64::try_from(seen.as_millis()).unwrap_or(u64::MAX);
        self.seen.store(seen, Ordering::Release);
        self.holder.store(OURS, Ordering::Release);
    }

    fn lose(&self, to: u8) {
        self.holder.store(to, Ordering::Release);
    }

    /// Fails unless the lock is held, as far as it is known at `now`.
    fn require(&self, now: Duration) -> Result<(), StoreError> {
        let age = now.saturating_sub(Duration::from_millis(self.seen.load(Ordering::Acquire)));
        Err(match self.holder.load(Ordering::Acquire) {
            OURS if age <= TRUSTED => return Ok(()),
            OURS => StoreError::Unavailable("whether it still holds its lock is not known yet".to_owned()),
            UNKNOWN => StoreError::Unavailable("the connection that holds its lock is broken".to_owned()),
            _ => superseded(),
        })
    }
}

/// The time since the machine was started, suspended or not (`CLOCK_BOOTTIME`).
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// The lock is held.
const OURS: u8 = 0;
/// The connection broke; whether another process takes the lock is unknown.
const UNKNOWN: u8 = 1;
/// Another process has used the store.
const OVER: u8 = 2;

/// A connection, and the task that ends when it does. Dropping it closes the socket, whatever the server has
/// not answered yet: a connection that waits for an answer keeps the lock otherwise.
struct LockConnection {
    client: Client,
    ended: JoinHandle<()>,
    /// The server's end of it.
    session: DatabaseSession,
}

/// A session of the server. Process ids are used again, so the time of its start belongs to its name.
#[derive(Clone, Debug)]
struct DatabaseSession {
    pid: i32,
    /// `None` if the role may not see it: one that is set after sign-in (`SET role`) sees no session of its own.
    began: Option<String>,
}

impl InstanceLock {
    /// Takes the lock, and creates the tables or migrates them to this version.
    pub(super) async fn begin(connector: Connector) -> Result<Self, StoreError> {
        let line = dial(&connector).await?;
        for _ in 0..LOOKS {
            if line.try_lock().await? {
                migrations::run(&line.client).await?;
                let former = line.value("SELECT tenure FROM store", &[]).await?;
                line.end_former_sessions().await?;
                // Before the count is raised: a start that fails here must find the same tenure when it is repeated.
                line.end_former_tenure(former).await?;
                let seen = since_boot();
                let tenure = line
                    .value("UPDATE store SET tenure = tenure + 1 RETURNING tenure", &[])
                    .await?;
                let state = Arc::new(LockState::held_at(seen));
                let keeper = LockKeeper {
                    connector,
                    tenure,
                    state: state.clone(),
                };
                let keeper = tokio::spawn(keeper.run(line)).abort_handle();
                return Ok(Self(Arc::new(HeldLock {
                    tenure,
                    state,
                    keeper,
                })));
            }
            sleep(PAUSE).await;
        }
        let holder = line.holder().await?;
        Err(StoreError::Refused(format!(
            "the database is already in use by another gateway or command ({holder}); stop that one first: one database \
             serves one gateway"
        )))
    }

    /// Fails unless this process holds the lock.
    pub(super) fn require(&self) -> Result<(), StoreError> {
        self.0.state.require(since_boot())
    }

    /// The store's count of lock holders when this process took the lock.
    pub(super) fn tenure(&self) -> i64 {
        self.0.tenure
    }
}

/// The error of a store that another process has used.
pub(super) fn superseded() -> StoreError {
    StoreError::Superseded(
        "another gateway or command has used it meanwhile; this gateway serves nobody any more: start it anew once the \
         other has ended"
            .to_owned(),
    )
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Keeps the lock, and records in `state` when it is lost.
struct LockKeeper {
    connector: Connector,
    /// The store's count of lock holders when this process took the lock; a different count means that
    /// another one had it since.
    tenure: i64,
    state: Arc<LockState>,
}

impl LockKeeper {
    async fn run(self, mut line: LockConnection) {
        loop {
            let broken = self.watch(&mut line).await;
            self.state.lose(UNKNOWN);
            tracing::error!(%broken, "the store's database is out of reach: requests that need it are refused");
            let former = line.session.clone();
            drop(line);
            let Some((again, seen)) = self.begin_again(&former).await else {
                self.state.lose(OVER);
                tracing::error!(
                    "another gateway or command has used the store meanwhile: this one answers nothing more and keeps nothing that \
                     is done here; start it anew"
                );
                return;
            };
            line = again;
            self.state.confirm(seen);
            tracing::info!("the store's database is there again");
        }
    }

    /// Returns when the connection is of no more use, with the reason.
    async fn watch(&self, line: &mut LockConnection) -> String {
        loop {
            tokio::select! {
                _ = &mut line.ended => return "the connection ended".to_owned(),
                () = sleep(HEARTBEAT) => {}
            }
            let asked = since_boot();
            match line.value::<i64>(TENURE, &[]).await {
                Ok(tenure) if tenure == self.tenure => self.state.confirm(asked),
                Ok(_) => return "another gateway or command has used it meanwhile".to_owned(),
                Err(error) => return error.reason(),
            }
        }
    }

    /// Takes the lock again, from the server's session of the former connection if that still has it. Returns the connection, and
    /// a moment after which the lock was held. `None` if another process had it meanwhile.
    async fn begin_again(&self, former: &DatabaseSession) -> Option<(LockConnection, Duration)> {
        let mut is_told = false;
        loop {
            sleep(RETRY).await;
            // While another process has the lock this retries; the count then tells that it had it.
            let Ok(line) = dial(&self.connector).await else {
                continue;
            };
            if let Err(error) = line.terminate(former).await
                && !is_told
            {
                let reason = error.reason();
                tracing::warn!(%reason, "the store's database answers, and the session that holds its lock is not ended");
                is_told = true;
            }
            let asked = since_boot();
            if let Ok(is_held) = line.try_lock().await
                && let Ok(tenure) = line.value::<i64>(TENURE, &[]).await
            {
                let is_ours = tenure == self.tenure;
                if !is_ours || is_held {
                    return is_ours.then_some((line, asked));
                }
                if !is_told && let Ok(holder) = line.holder().await {
                    tracing::warn!(%holder, "the store's database answers, and another connection holds its lock");
                    is_told = true;
                }
            }
        }
    }
}

async fn dial(connector: &Connector) -> Result<LockConnection, StoreError> {
    let (client, ended) = in_time(connector.dial()).await?;
    // Owned from here on by what closes it, however the next step ends.
    let mut line = LockConnection {
        client,
        ended,
        session: DatabaseSession { pid: 0, began: None },
    };
    let sql = format!("SELECT pid, {BEGAN} FROM pg_stat_activity WHERE pid = pg_backend_pid()");
    let row = line.row(&sql, &[]).await?;
    line.session = DatabaseSession {
        pid: row.try_get(0).map_err(OperationError::from)?,
        began: row.try_get(1).map_err(OperationError::from)?,
    };
    Ok(line)
}

/// The numbers of the advisory lock of a tenure.
#[expect(
    clippy::cast_possible_truncation,
    reason = "tenures that are compared differ by less"
)]
pub(super) fn tenure_lock(tenure: i64) -> (i32, i32) {
    (TENURE_LOCKS, tenure as i32)
}

/// The error of a session of the predecessor that may still change something.
fn lingering(pid: Option<i32>) -> StoreError {
    let which = pid.map_or_else(String::new, |pid| format!(" (process {pid} of its server)"));
    StoreError::Refused(format!(
        "a session of the gateway that used the database before{which} does not end, and may still change something: \
         end it there, and start again"
    ))
}

/// The count of lock holders. No row on a standby: advisory locks are each server's own, and its rows are old.
const TENURE: &str = "SELECT tenure FROM store WHERE NOT pg_is_in_recovery()";

/// When a session of the server began, to the microsecond.
const BEGAN: &str = "to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')";

async fn in_time<T, E: Into<OperationError>>(
    statement: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    match timeout(SILENCE, statement).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let fault: OperationError = error.into();
            Err(fault.into())
        }
        Err(_) => Err(unavailable("the database does not answer").into()),
    }
}

impl Drop for LockConnection {
    fn drop(&mut self) {
        self.ended.abort();
    }
}

impl LockConnection {
    async fn row(&self, sql: &str, arguments: &[&(dyn ToSql + Sync)]) -> Result<Row, StoreError> {
        in_time(self.client.query_one(sql, arguments)).await
    }

    async fn value<T: FromSqlOwned>(
        &self,
        sql: &str,
        arguments: &[&(dyn ToSql + Sync)],
    ) -> Result<T, StoreError> {
        let row = self.row(sql, arguments).await?;
        Ok(row.try_get(0).map_err(OperationError::from)?)
    }

    async fn try_lock(&self) -> Result<bool, StoreError> {
        self.value("SELECT pg_try_advisory_lock($1, $2)", &[&LOCK.0, &LOCK.1])
            .await
    }

    /// Ends a session of the role's own, if it is still there. The server ends one that waits for a client that
    /// is gone only by its own time limits.
    async fn terminate(&self, session: &DatabaseSession) -> Result<(), StoreError> {
        let Some(began) = &session.began else {
            return Ok(());
        };
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND {BEGAN} = $2 AND usename = current_user"
        );
        let arguments: [&(dyn ToSql + Sync); 2] = [&session.pid, began];
        in_time(self.client.query_opt(&sql, &arguments)).await?;
        Ok(())
    }

    /// Ends the sessions of this role in this database that read and write, and waits until they are gone.
    async fn end_former_sessions(&self) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT pid, {BEGAN}, pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
             AND usename = current_user AND application_name = $1 AND pid <> pg_backend_pid()"
        );
        let ended = in_time(self.client.query(&sql, &[&APPLICATION_NAME])).await?;
        let pids: Vec<i32> = ended.iter().map(|row| row.get(0)).collect();
        let begins: Vec<String> = ended.iter().map(|row| row.get(1)).collect();
        let sql =
            format!("SELECT pid FROM pg_stat_activity WHERE pid = ANY ($1) AND {BEGAN} = ANY ($2) LIMIT 1");
        let arguments: [&(dyn ToSql + Sync); 2] = [&pids, &begins];
        for _ in 0..LOOKS {
            if in_time(self.client.query_opt(&sql, &arguments)).await?.is_none() {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        let left = in_time(self.client.query_opt(&sql, &arguments)).await?;
        left.map_or(Ok(()), |row| Err(lingering(row.try_get(0).ok())))
    }

    /// Waits until the transactions of a former tenure have ended, and keeps others from beginning while this
    /// connection lasts.
    async fn end_former_tenure(&self, former: i64) -> Result<(), StoreError> {
        let (class, object) = tenure_lock(former);
        for _ in 0..LOOKS_AT_TRANSACTIONS {
            let sql = "SELECT pg_try_advisory_lock($1, $2)";
            if self.value(sql, &[&class, &object]).await? {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        let sql = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted \
             AND classid = $1::bigint::oid AND objid = ($2::bigint & 4294967295)::oid \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1";
        let arguments: [&(dyn ToSql + Sync); 2] = [&i64::from(class), &i64::from(object)];
        let holder = in_time(self.client.query_opt(sql, &arguments)).await?;
        let holder: Option<i32> = holder.and_then(|row| row.try_get(0).ok());
        Err(lingering(holder))
    }

    /// Describes the lock's holder for an error message.
    async fn holder(&self) -> Result<String, StoreError> {
        let sql = "SELECT format('%s, connected since %s', \
                 coalesce('from ' || host(client_addr), 'on the database''s machine'), \
                 to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC')) \
             FROM pg_locks JOIN pg_stat_activity USING (pid) \
             WHERE locktype = 'advisory' AND granted AND classid = $1::bigint::oid AND objid = $2::bigint::oid \
                 AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             LIMIT 1";
        let (class, object) = (i64::from(LOCK.0), i64::from(LOCK.1));
        let arguments: [&(dyn ToSql + Sync); 2] = [&class, &object];
        let found = in_time(self.client.query_opt(sql, &arguments)).await?;
        let holder = found.and_then(|row| row.try_get(0).ok());
        Ok(holder.unwrap_or_else(|| "which has just ended".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s28_a_process_that_was_stopped_serves_nobody_before_the_lock_was_seen_again() {
        let at = Duration::from_secs;
        let state = LockState::held_at(at(100));
        state.require(at(100) + TRUSTED).unwrap();
        let error = state.require(at(101) + TRUSTED).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        state.confirm(at(120));
        state.require(at(121)).unwrap();
        state.lose(OVER);
        assert!(matches!(state.require(at(121)), Err(StoreError::Superseded(_))));
        assert!(since_boot() > Duration::ZERO);
    }
}
