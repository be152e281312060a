//! The audit of authentication and administration: each event is a JSON line (S51) and a row of the store's
//! audit log.

mod event;
mod group_sync;
mod line_sink;
mod quota;
mod resolve;
mod store_sink;

use std::io;
use std::sync::Arc;

use super::settled_time::SettledTime;
use crate::clock::Clock;
use crate::config::{AuditConfig, AuditMode};
use crate::log_file::{ReopenError, Reopening};
use crate::metrics::Metrics;
use crate::model::{AuditCursor, AuditEvent};
use crate::store::{AuditFilter, AuditOrder, AuditPage, Store, StoreError};
use line_sink::LineSink;
use store_sink::StoreSink;

pub use crate::model::AuditKind as Kind;
pub use event::{Event, EventOutcome, Origin, USER_AGENT_LENGTH};

/// An event could not be recorded, and `audit.mode` is "required".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event could not be recorded")]
pub struct AuditError;

/// Records events as lines and rows, and reads the audit log.
#[derive(Debug)]
pub struct Audit {
    lines: LineSink,
    reopening: Reopening,
    log: StoreSink,
    store: Arc<dyn Store>,
    mode: AuditMode,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Audit {
    /// The file name that stands for standard error.
    pub const STANDARD_ERROR: &str = line_sink::STANDARD_ERROR;

    /// Opens the sink of lines and starts the writer of the store's audit log. Needs a tokio runtime.
    pub(super) fn open(
        config: &AuditConfig,
        store: Arc<dyn Store>,
        clock: Clock,
        settled: Arc<SettledTime>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let reopening = Reopening::default();
        Ok(Self {
            lines: LineSink::open(&config.file, reopening.clone())?,
            reopening,
            log: StoreSink::start(store.clone(), config, clock.clone(), settled),
            store,
            mode: config.mode,
            clock,
            metrics,
        })
    }

    /// Reopens the file of lines at once. On failure, lines go on into the old file.
    pub fn reopen(&self) -> Result<(), ReopenError> {
        self.reopening.request();
        self.lines.reopen()
    }

    /// Records an event. A failure is logged; if the audit log is required it is returned, and on success the
    /// event is on disk (S52). Otherwise the row is written in the background.
    pub async fn record(&self, origin: &Origin, event: &Event) -> Result<(), AuditError> {
        let recorded = event.recorded(self.clock.now(), origin);
        let line = self.write_line(event, &recorded);
        if self.mode == AuditMode::BestEffort {
            self.store(recorded);
            return Ok(());
        }
        let kept = async {
            if !self.log.admits(&recorded) {
                return Ok(());
            }
            let row = self.log.write(recorded).await;
            row.inspect_err(|error| alarm(event, error))
                .map_err(|_| AuditError)
        };
        let synced = async {
            let synced = self.lines.synced(line?).await;
            synced
                .inspect_err(|error| alarm(event, error))
                .map_err(|_| AuditError)
        };
        let (kept, synced) = tokio::join!(kept, synced);
        kept.and(synced)
    }

    /// Records an event before the act if the audit log is required, so that an act that cannot be recorded
    /// does not happen. Does nothing in best-effort mode.
    pub(super) async fn announce(&self, origin: &Origin, event: &Event) -> Result<(), AuditError> {
        match self.mode {
            AuditMode::BestEffort => Ok(()),
            AuditMode::Required => self.record(origin, event).await,
        }
    }

    /// Records an event about an act that stays done whether or not it can be recorded: a failure is only
    /// logged.
    pub fn note(&self, origin: &Origin, event: &Event) {
        let recorded = event.recorded(self.clock.now(), origin);
        let _ = self.write_line(event, &recorded);
        self.store(recorded);
    }

    /// Returns the number by which [`LineSink::synced`] waits for the line.
    fn write_line(&self, event: &Event, recorded: &AuditEvent) -> Result<u64, AuditError> {
        self.lines.write(recorded).map_err(|error| {
            self.metrics.audit_lines_lost.increment();
            alarm(event, &error);
            AuditError
        })
    }

    fn store(&self, recorded: AuditEvent) {
        if self.log.admits(&recorded) {
            self.log.add(recorded);
        }
    }

    /// Reads the audit log, including all recorded so far: see
    /// [`read_audit`](crate::store::AuditStore::read_audit).
    pub async fn read(
        &self,
        filter: AuditFilter,
        order: AuditOrder,
        after: Option<AuditCursor>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        self.log.flush().await;
        let page = self.store.read_audit(filter, order, after, limit).await?;
        for which in &page.unreadable {
            tracing::warn!(which, "an event of the audit log cannot be read");
        }
        Ok(page)
    }

    /// Waits until all recorded events are in the store.
    pub async fn flush(&self) {
        self.log.flush().await;
    }

    /// Writes what is queued and stops the writer. Later events wait for [`Self::flush`].
    pub async fn stop(&self) {
        self.log.stop().await;
    }
}

fn alarm(event: &Event, error: &dyn std::fmt::Display) {
    tracing::error!(%error, event = event.kind.as_str(), who = event.who, "an event could not be recorded");
}

#[cfg(test)]
mod tests;
