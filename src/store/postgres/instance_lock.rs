//! The instance lock: one process at a time uses the store.
//!
//! A gateway serves from memory what it has read or written, so no other process may write. It holds an
//! advisory lock of the database on a connection of its own. If that breaks, the gateway reads and writes
//! nothing and serves nothing from memory until it has the lock again; and never again if another process had
//! the lock meanwhile, because its memory may be stale.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use super::connection::Connector;
use super::error::{OperationError, unavailable};
use super::migrations;
use crate::store::StoreError;

/// The advisory lock's numbers: `vest`, and the first of Vestibule's locks.
const LOCK: (i32, i32) = (0x7665_7374, 1);

/// How often, and how far apart, a start tries to take the lock from a process that may be about to end:
/// three seconds in all.
const LOOKS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(50);

/// The interval of probes of the connection.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How long a probe may take before the connection counts as broken.
const SILENCE: Duration = Duration::from_secs(5);

/// The interval of attempts to take the lock again.
const RETRY: Duration = Duration::from_millis(500);

/// The right to use the store; released when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct InstanceLock(Arc<HeldLock>);

#[derive(Debug)]
struct HeldLock {
    state: Arc<AtomicU8>,
    keeper: AbortHandle,
}

/// The lock is held.
const OURS: u8 = 0;
/// The connection broke; whether another process takes the lock is unknown.
const UNKNOWN: u8 = 1;
/// Another process has used the store.
const OVER: u8 = 2;

/// A connection, and the task that ends when it does.
struct LockConnection {
    client: Client,
    ended: JoinHandle<()>,
}

impl InstanceLock {
    /// Takes the lock, and creates the tables or migrates them to this version.
    pub(super) async fn begin(connector: Connector) -> Result<Self, StoreError> {
        let line = dial(&connector).await?;
        for _ in 0..LOOKS {
            if try_lock(&line.client).await? {
                migrations::run(&line.client).await?;
                let number = line
                    .client
                    .query_one("UPDATE store SET tenure = tenure + 1 RETURNING tenure", &[]);
                let number = number
                    .await
                    .map_err(OperationError::from)?
                    .try_get(0)
                    .map_err(OperationError::from)?;
                let state = Arc::new(AtomicU8::new(OURS));
                let keeper = LockKeeper {
                    connector,
                    number,
                    state: state.clone(),
                };
                let keeper = tokio::spawn(keeper.run(line)).abort_handle();
                return Ok(Self(Arc::new(HeldLock { state, keeper })));
            }
            sleep(PAUSE).await;
        }
        let holder = holder(&line.client).await?;
        Err(StoreError::Refused(format!(
            "the database is already in use by another gateway or command ({holder}); stop that one first: one database \
             serves one gateway"
        )))
    }

    /// Fails unless this process holds the lock.
    pub(super) fn require(&self) -> Result<(), StoreError> {
        Err(match self.0.state.load(Ordering::Acquire) {
            OURS => return Ok(()),
            UNKNOWN => StoreError::Unavailable("the connection that holds its lock is broken".to_owned()),
            _ => StoreError::Superseded(
                "another gateway or command has used it meanwhile; this gateway serves nobody any more: \
                 start it anew once the other has ended"
                    .to_owned(),
            ),
        })
    }
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
    number: i64,
    state: Arc<AtomicU8>,
}

impl LockKeeper {
    async fn run(self, mut line: LockConnection) {
        loop {
            let broken = self.watch(&mut line).await;
            self.state.store(UNKNOWN, Ordering::Release);
            tracing::error!(%broken, "the store's database is out of reach: nothing is answered that needs it");
            let Some(again) = self.begin_again().await else {
                self.state.store(OVER, Ordering::Release);
                tracing::error!(
                    "another gateway or command has used the store meanwhile: this one answers nothing more and keeps nothing that \
                     is done here; start it anew"
                );
                return;
            };
            line = again;
            self.state.store(OURS, Ordering::Release);
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
            match timeout(SILENCE, line.client.simple_query("SELECT")).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return format!("no answer for {} s", SILENCE.as_secs()),
            }
        }
    }

    /// Takes the lock again. `None` if another process had it meanwhile.
    async fn begin_again(&self) -> Option<LockConnection> {
        let mut is_told = false;
        loop {
            sleep(RETRY).await;
            // While another process has the lock this retries; the count then tells that it had it.
            if let Ok(line) = dial(&self.connector).await
                && let Ok(is_held) = try_lock(&line.client).await
                && let Ok(row) = line.client.query_one("SELECT tenure FROM store", &[]).await
            {
                let is_ours = row.try_get::<_, i64>(0).is_ok_and(|number| number == self.number);
                if !is_ours || is_held {
                    return is_ours.then_some(line);
                }
                if !is_told && let Ok(holder) = holder(&line.client).await {
                    tracing::warn!(%holder, "the store's database answers, and another connection holds its lock");
                    is_told = true;
                }
            }
        }
    }
}

async fn dial(connector: &Connector) -> Result<LockConnection, StoreError> {
    let dialled = timeout(SILENCE, connector.dial()).await;
    let (client, ended) = dialled.unwrap_or_else(|_| Err(unavailable("the database does not answer")))?;
    Ok(LockConnection { client, ended })
}

async fn try_lock(client: &Client) -> Result<bool, StoreError> {
    let row = client
        .query_one("SELECT pg_try_advisory_lock($1, $2)", &[&LOCK.0, &LOCK.1])
        .await
        .map_err(OperationError::from)?;
    Ok(row.try_get(0).map_err(OperationError::from)?)
}

/// Describes the lock's holder for an error message.
async fn holder(client: &Client) -> Result<String, StoreError> {
    let found = client
        .query_opt(
            "SELECT format('%s, connected since %s', \
                 coalesce('from ' || host(client_addr), 'on the database''s machine'), \
                 to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC')) \
             FROM pg_locks JOIN pg_stat_activity USING (pid) \
             WHERE locktype = 'advisory' AND granted AND classid = $1::bigint::oid AND objid = $2::bigint::oid \
                 AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             LIMIT 1",
            &[&i64::from(LOCK.0), &i64::from(LOCK.1)],
        )
        .await
        .map_err(OperationError::from)?;
    let holder = found.and_then(|row| row.try_get(0).ok());
    Ok(holder.unwrap_or_else(|| "which has just ended".to_owned()))
}
