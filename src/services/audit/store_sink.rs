//! Writes audit events to the store in the background, and prunes old ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::quota::AuditQuota;
use crate::clock::Clock;
use crate::config::AuditConfig;
use crate::model::AuditEvent;
use crate::services::settled_time::SettledTime;
use crate::store::{Store, StoreError};
use crate::warning_limit::WarningLimit;

/// The most events in the backlog, some seconds of a flood. Further ones are only counted; the lines have
/// them all.
const MOST_WAITING: usize = 4096;

/// The most events in one write.
const TOGETHER: usize = 256;

/// How often old events are pruned.
const PRUNED_EVERY: Duration = Duration::from_mins(10);

/// The background writer of the store's audit log. Adding an event does not block.
#[derive(Debug)]
pub(super) struct StoreSink {
    backlog: Arc<Backlog>,
    stop: CancellationToken,
    keeper: Mutex<Option<JoinHandle<()>>>,
    /// Limits warnings of missing events.
    warnings: WarningLimit,
}

#[derive(Debug)]
struct Backlog {
    store: Arc<dyn Store>,
    shares: AuditQuota,
    /// `audit.keep`
    keep: Duration,
    /// `audit.max_events`
    at_most: usize,
    /// The time that pruning goes by.
    settled: Arc<SettledTime>,
    waiting: Mutex<VecDeque<AuditEvent>>,
    /// Held while events are written, which keeps them in order.
    writing: tokio::sync::Mutex<()>,
    wake: Notify,
}

impl StoreSink {
    /// Starts the background writer. Needs a tokio runtime.
    pub(super) fn start(
        store: Arc<dyn Store>,
        config: &AuditConfig,
        clock: Clock,
        settled: Arc<SettledTime>,
    ) -> Self {
        let backlog = Arc::new(Backlog {
            store,
            shares: AuditQuota::new(config, clock),
            keep: config.keep.0,
            at_most: config.max_events,
            settled,
            waiting: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            wake: Notify::new(),
        });
        let stop = CancellationToken::new();
        let keeper = tokio::spawn(run(backlog.clone(), stop.clone()));
        Self {
            backlog,
            stop,
            keeper: Mutex::new(Some(keeper)),
            warnings: WarningLimit::default(),
        }
    }

    /// Returns whether an event is within its quota; otherwise it is counted and summed up later.
    pub(super) fn admits(&self, event: &AuditEvent) -> bool {
        self.backlog.sum_up(false);
        self.backlog.shares.admit(event)
    }

    /// Appends an event to the backlog.
    pub(super) fn add(&self, event: AuditEvent) {
        let mut waiting = self.backlog.waiting();
        if waiting.len() >= MOST_WAITING {
            drop(waiting);
            self.backlog.shares.overflow(&event);
            if let Some(unlogged) = self.warnings.admit() {
                tracing::error!(
                    event = event.event.as_str(),
                    unlogged,
                    "the audit log cannot keep up: an event is missing from it"
                );
            }
            return;
        }
        waiting.push_back(event);
        drop(waiting);
        self.backlog.wake.notify_one();
    }

    /// Writes an event after the backlog.
    pub(super) async fn write(&self, event: AuditEvent) -> Result<(), StoreError> {
        self.flush().await;
        let backlog = &self.backlog;
        backlog.store.append_audit(vec![event], backlog.at_most).await
    }

    /// Waits until the backlog is written.
    pub(super) async fn flush(&self) {
        self.backlog.flush().await;
    }

    /// Stops the background writer and writes what is left.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper
            && keeper.await.is_err()
        {
            tracing::error!("what keeps the audit log panicked");
        }
        self.backlog.sum_up(true);
        self.flush().await;
    }
}

impl Drop for StoreSink {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Writes the backlog when it is woken, and prunes at the start and periodically.
async fn run(backlog: Arc<Backlog>, stop: CancellationToken) {
    backlog.prune().await;
    let mut ticks = tokio::time::interval(PRUNED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = backlog.wake.notified() => backlog.flush().await,
            _ = ticks.tick() => {
                backlog.sum_up(false);
                backlog.flush().await;
                backlog.prune().await;
            }
            () = stop.cancelled() => return,
        }
    }
}

impl Backlog {
    /// Appends summaries of withheld events to the backlog, beyond its limit: there are never many.
    fn sum_up(&self, all: bool) {
        let summaries = self.shares.summaries(all);
        if !summaries.is_empty() {
            self.waiting().extend(summaries);
            self.wake.notify_one();
        }
    }

    async fn flush(&self) {
        let _writing = self.writing.lock().await;
        loop {
            let events: Vec<AuditEvent> = {
                let mut waiting = self.waiting();
                let count = waiting.len().min(TOGETHER);
                waiting.drain(..count).collect()
            };
            if events.is_empty() {
                return;
            }
            let count = events.len();
            if let Err(error) = self.store.append_audit(events, self.at_most).await {
                tracing::error!(%error, count, "events are missing from the audit log; their lines were written");
            }
        }
    }

    async fn prune(&self) {
        let before = self
            .settled
            .read()
            .checked_sub(self.keep)
            .unwrap_or(Timestamp::MIN);
        if let Err(error) = self.store.prune_audit(before).await {
            tracing::warn!(%error, "old events could not be removed from the audit log");
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<AuditEvent>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
