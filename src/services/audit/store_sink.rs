//! The record in the store: what waits to be written, and what is old enough to go.

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

/// Events that may wait: some seconds' worth of a flood. Of further ones the log has the number, and the lines have all.
const MOST_WAITING: usize = 4096;

/// Events that are written together.
const TOGETHER: usize = 256;

/// How often it is looked for events that are old enough to go.
const PRUNED_EVERY: Duration = Duration::from_mins(10);

/// The record in the store. Who adds to it never waits.
#[derive(Debug)]
pub(super) struct StoreSink {
    backlog: Arc<Backlog>,
    stop: CancellationToken,
    keeper: Mutex<Option<JoinHandle<()>>>,
    /// Of events that are missing.
    warnings: WarningLimit,
}

#[derive(Debug)]
struct Backlog {
    store: Arc<dyn Store>,
    shares: AuditQuota,
    clock: Clock,
    /// `audit.keep`
    keep: Duration,
    /// `audit.max_events`
    at_most: usize,
    /// What may be removed.
    settled: Mutex<SettledTime>,
    waiting: Mutex<VecDeque<AuditEvent>>,
    /// Held while events are written, so that they are written in order.
    writing: tokio::sync::Mutex<()>,
    wake: Notify,
}

impl StoreSink {
    /// Needs a tokio runtime, on which it writes what waits.
    pub(super) fn start(store: Arc<dyn Store>, config: &AuditConfig, clock: Clock) -> Self {
        let settled = SettledTime::since(&clock);
        let backlog = Arc::new(Backlog {
            store,
            shares: AuditQuota::new(config, clock.clone()),
            clock,
            keep: config.keep.0,
            at_most: config.max_events,
            settled: Mutex::new(settled),
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

    /// Whether the log has room for an event: one that exceeds a share is counted instead, and summed up later.
    pub(super) fn admits(&self, event: &AuditEvent) -> bool {
        self.backlog.sum_up(false);
        self.backlog.shares.admit(event)
    }

    /// Lets an event wait; it is written soon.
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

    /// Writes an event, behind those that wait.
    pub(super) async fn write(&self, event: AuditEvent) -> Result<(), StoreError> {
        self.flush().await;
        let backlog = &self.backlog;
        backlog.store.append_audit(vec![event], backlog.at_most).await
    }

    /// Returns when all that waits is written.
    pub(super) async fn flush(&self) {
        self.backlog.flush().await;
    }

    /// Writes what waits, and lets go of the store.
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

/// Writes what waits whenever something does, and removes what is old, first of all and then every so often.
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
    /// Lets the events wait that say what the log does not keep: there are never many.
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
        let now = {
            let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
            settled.read(&self.clock)
        };
        let before = now.checked_sub(self.keep).unwrap_or(Timestamp::MIN);
        if let Err(error) = self.store.prune_audit(before).await {
            tracing::warn!(%error, "old events could not be removed from the audit log");
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<AuditEvent>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
