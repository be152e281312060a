//! The record of authentication and administrative events: one JSON line each (S51), and the audit log in the store.

mod event;
mod group_sync;
mod line_sink;
mod quota;
mod resolve;
mod store_sink;

use std::io;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::{AuditConfig, AuditMode};
use crate::log_file::Reopening;
use crate::metrics::Metrics;
use crate::model::{AuditCursor, AuditEvent};
use crate::store::{AuditFilter, AuditOrder, AuditPage, Store, StoreError};
use line_sink::LineSink;
use store_sink::StoreSink;

pub use crate::model::AuditKind as Kind;
pub use event::{Event, EventOutcome, Origin};

/// An event could not be written, and `audit.mode` is "required".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event could not be recorded")]
pub struct AuditError;

/// The record.
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
    /// The file's name that stands for standard error.
    pub const STANDARD_ERROR: &str = line_sink::STANDARD_ERROR;

    /// Opens what lines are written to, and begins to keep the audit log of the store. Needs a tokio runtime.
    pub(super) fn open(
        config: &AuditConfig,
        store: Arc<dyn Store>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let reopening = Reopening::default();
        Ok(Self {
            lines: LineSink::open(&config.file, reopening.clone())?,
            reopening,
            log: StoreSink::start(store.clone(), config, clock.clone()),
            store,
            mode: config.mode,
            clock,
            metrics,
        })
    }

    /// Opens the file of lines again, at once.
    pub fn reopen(&self) {
        self.reopening.request();
        self.lines.reopen();
    }

    /// Records an event. A failure raises the log's alarm; where the record is required it is an error too, and the
    /// event is on disk when this returns (S52). Where it is not, nobody waits for it.
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

    /// Where the record is required, writes what is about to be done: what cannot be recorded is then not done at all.
    pub(super) async fn announce(&self, origin: &Origin, event: &Event) -> Result<(), AuditError> {
        match self.mode {
            AuditMode::BestEffort => Ok(()),
            AuditMode::Required => self.record(origin, event).await,
        }
    }

    /// Records an event about something that is done and stays done, whether or not it can be recorded: an alarm is
    /// all that can be raised.
    pub fn note(&self, origin: &Origin, event: &Event) {
        let recorded = event.recorded(self.clock.now(), origin);
        let _ = self.write_line(event, &recorded);
        self.store(recorded);
    }

    /// The number by which the line is waited for.
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

    /// Reads the audit log, all that was recorded until now included: see [`read_audit`](crate::store::AuditStore::read_audit).
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

    /// Returns when all that was recorded is in the store.
    pub async fn flush(&self) {
        self.log.flush().await;
    }

    /// Writes what waits, and lets go of the store. What is recorded afterwards waits for [`Self::flush`].
    pub async fn stop(&self) {
        self.log.stop().await;
    }
}

fn alarm(event: &Event, error: &dyn std::fmt::Display) {
    tracing::error!(%error, event = event.kind.as_str(), who = event.who, "an event could not be recorded");
}

#[cfg(test)]
mod tests;
