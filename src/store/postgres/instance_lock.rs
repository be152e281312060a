//! Who uses the store: one process at a time.
//!
//! A gateway answers from memory what it read or wrote, so no other may write beside it. Whoever uses the store has an
//! advisory lock of the database, on a connection that does nothing else, for as long as that lasts. If it breaks,
//! nothing is read or written, nor answered from memory, until the lock is held again; and if another process had it
//! meanwhile, not then either: what is in memory may not be so any more.

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

/// The lock's two numbers: `vest`, and the first of what Vestibule locks.
const LOCK: (i32, i32) = (0x7665_7374, 1);

/// How often, and how far apart, a start looks whether another process, which may be about to end, still has the lock:
/// for three seconds.
const LOOKS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(50);

/// How often the connection is tried.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// After how long without an answer it is taken for broken.
const SILENCE: Duration = Duration::from_secs(5);

/// How far apart attempts are to have the lock again.
const RETRY: Duration = Duration::from_millis(500);

/// The right to use the store. It ends with the last copy.
#[derive(Clone, Debug)]
pub(super) struct InstanceLock(Arc<HeldLock>);

#[derive(Debug)]
struct HeldLock {
    state: Arc<AtomicU8>,
    keeper: AbortHandle,
}

/// The lock is held.
const OURS: u8 = 0;
/// The connection broke.
const UNKNOWN: u8 = 1;
/// Somebody else used the store.
const OVER: u8 = 2;

/// A connection, and the task that ends when it does.
struct LockConnection {
    client: Client,
    ended: JoinHandle<()>,
}

impl InstanceLock {
    /// Begins to use the store, which is made or brought up to date if need be.
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

    /// An error unless the store is this process's.
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

/// Keeps the lock, and says so when it cannot.
struct LockKeeper {
    connector: Connector,
    /// How many began to use the store, this one included.
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

    /// Returns why the connection is of no use any more.
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

    /// Holds the lock again. `None` once another process has begun to use the store, whether or not it still does. A
    /// connection that holds the lock in the same tenure may be this process's own, of which the server does not know
    /// yet that it broke.
    async fn begin_again(&self) -> Option<LockConnection> {
        let mut is_told = false;
        loop {
            sleep(RETRY).await;
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

/// Who has the lock, for people.
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
