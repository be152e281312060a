//! The audit log: events by time, and an index of them by subject and time.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ::sled::{IVec, Tree};
use async_trait::async_trait;
use jiff::Timestamp;

use super::SledStore;
use super::engine::{Engine, PIECE};
use super::record;
use super::rows::{Row, Rows, WriteBatch};
use super::schema::{self, RowKind};
use crate::model::{AuditCursor, AuditEvent};
use crate::store::{AuditFilter, AuditOrder, AuditPage, AuditStore, AuditSubject, StoreError};

/// Rows that one read examines, at most: some tens of milliseconds.
const LOOKS: usize = 10_000;

/// Events that one append removes at most. More than it adds, so that a lowered bound is reached in time;
/// bounded, so that an append stays short.
const REMOVED_AT_ONCE: usize = 2 * PIECE;

/// Numbers new events and counts stored ones.
#[derive(Clone, Debug)]
pub(super) struct AuditLog {
    /// The number of the next event.
    next: Arc<AtomicU64>,
    count: Arc<AtomicUsize>,
}

impl AuditLog {
    /// Counts the stored events and finds the highest number.
    pub(super) fn open(engine: &Engine) -> Result<Self, StoreError> {
        let (mut next, mut count) = (0, 0);
        engine.pieces(&RowKind::Audit.prefix(), None, |_, rows| {
            count += rows.len();
            for cursor in rows.iter().filter_map(|(key, _)| schema::trailing_cursor(key)) {
                next = next.max(cursor.number.saturating_add(1));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Self {
            next: Arc::new(AtomicU64::new(next)),
            count: Arc::new(AtomicUsize::new(count)),
        })
    }

    fn append(
        &self,
        batch: &mut WriteBatch<'_>,
        events: &[AuditEvent],
        at_most: usize,
    ) -> Result<(), StoreError> {
        for event in events {
            let cursor = AuditCursor {
                number: self.next.fetch_add(1, Ordering::Relaxed),
                ..AuditCursor::at(event.time)
            };
            insert(batch, cursor, event)?;
        }
        let count = self.count.fetch_add(events.len(), Ordering::Relaxed) + events.len();
        let excess = count.saturating_sub(at_most).min(REMOVED_AT_ONCE);
        if excess > 0 {
            let oldest = batch.first_rows(&RowKind::Audit.prefix(), excess)?;
            self.remove(batch, oldest.iter().map(|(key, _)| key));
        }
        Ok(())
    }

    /// Removes events and their index rows. Returns how many.
    fn remove<'k>(&self, batch: &mut WriteBatch<'_>, keys: impl Iterator<Item = &'k IVec>) -> usize {
        let mut removed = 0;
        for key in keys {
            // An unreadable event is removed too: as the oldest row it would block the removal of all others.
            if let Ok(Some(event)) = batch.read::<AuditEvent>(key)
                && let Some(cursor) = schema::trailing_cursor(key)
            {
                for subject in AuditSubject::of(&event) {
                    batch.remove(schema::audit_of(&subject, cursor));
                }
            }
            batch.remove(key.to_vec());
            removed += 1;
        }
        self.count.fetch_sub(removed, Ordering::Relaxed);
        removed
    }
}

#[async_trait]
impl AuditStore for SledStore {
    async fn append_audit(&self, events: Vec<AuditEvent>, at_most: usize) -> Result<(), StoreError> {
        let log = self.open.audit.clone();
        self.change(move |group| log.append(group, &events, at_most))
            .await
    }

    async fn read_audit(
        &self,
        filter: AuditFilter,
        order: AuditOrder,
        after: Option<AuditCursor>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        self.read_all(move |engine| read(engine, &filter, order, after, limit))
            .await
    }

    async fn prune_audit(&self, before: Timestamp) -> Result<usize, StoreError> {
        let end = schema::audit(AuditCursor::at(before));
        let mut removed = 0;
        loop {
            let log = self.open.audit.clone();
            let end = end.clone();
            let piece = self
                .change(move |group| {
                    let mut oldest = group.first_rows(&RowKind::Audit.prefix(), PIECE)?;
                    oldest.retain(|(key, _)| key.as_ref() < end.as_slice());
                    Ok(log.remove(group, oldest.iter().map(|(key, _)| key)))
                })
                .await?;
            removed += piece;
            if piece < PIECE {
                return Ok(removed);
            }
        }
    }
}

/// Inserts an event at a free position, with its index rows.
pub(super) fn insert(
    batch: &mut WriteBatch<'_>,
    cursor: AuditCursor,
    event: &AuditEvent,
) -> Result<(), StoreError> {
    batch.put(schema::audit(cursor), event)?;
    for subject in AuditSubject::of(event) {
        batch.put(schema::audit_of(&subject, cursor), &())?;
    }
    Ok(())
}

/// Reads the log, or the index of the filter's subjects, in order.
fn read(
    engine: &Engine,
    filter: &AuditFilter,
    order: AuditOrder,
    after: Option<AuditCursor>,
    limit: usize,
) -> Result<AuditPage, StoreError> {
    let mut page = AuditPage::default();
    let subjects = filter.subjects();
    let mut spans = Span::of(&subjects, filter, order, after);
    let mut looks = 0;
    while looks < LOOKS {
        let more = engine.with(|tree| {
            let piece = EventChunk::next(tree, &spans, order)?;
            looks += piece.looks;
            for (cursor, (key, value)) in piece.in_order(order) {
                let event: Result<AuditEvent, _> = if subjects.is_empty() {
                    record::decode(key, value)
                } else {
                    tree.indexed(key, &schema::audit(*cursor))
                };
                page.next = Some(*cursor);
                match event {
                    Ok(event) if filter.passes(&event) => page.events.push((*cursor, event)),
                    Ok(_) => {}
                    Err(error @ StoreError::Corrupt(_)) => page.unreadable.push(error.reason()),
                    Err(error) => return Err(error),
                }
                if page.is_full(limit) {
                    return Ok(true);
                }
            }
            Ok(piece.until.is_some())
        })?;
        if page.is_full(limit) {
            return Ok(page);
        }
        let Some(cursor) = page.next.filter(|_| more) else {
            page.next = None;
            return Ok(page);
        };
        for span in &mut spans {
            span.pass(cursor, order);
        }
    }
    Ok(page)
}

/// A piece of the rows of all spans, by position: each event once.
#[derive(Default)]
struct EventChunk {
    rows: BTreeMap<AuditCursor, Row>,
    /// How many rows were read for it.
    looks: usize,
    /// The position up to which it is complete; `None` at the end.
    until: Option<AuditCursor>,
}

impl EventChunk {
    fn next(tree: &Tree, spans: &[Span], order: AuditOrder) -> Result<Self, StoreError> {
        let mut piece = Self::default();
        for span in spans {
            let rows = span.piece(tree, order)?;
            piece.looks += rows.len();
            if rows.len() == PIECE {
                let last = rows.last().and_then(|(key, _)| schema::trailing_cursor(key));
                piece.until = match (piece.until, last) {
                    (Some(until), Some(last)) if comes_before(last, until, order) => Some(last),
                    (until, last) => until.or(last),
                };
            }
            let by_cursor = rows
                .into_iter()
                .filter_map(|row| Some((schema::trailing_cursor(&row.0)?, row)));
            piece.rows.extend(by_cursor);
        }
        // Beyond this position other spans may have more rows: those here are dropped and read again with
        // theirs.
        if let Some(until) = piece.until {
            piece
                .rows
                .retain(|cursor, _| !comes_before(until, *cursor, order));
        }
        Ok(piece)
    }

    fn in_order(&self, order: AuditOrder) -> Box<dyn Iterator<Item = (&AuditCursor, &Row)> + '_> {
        match order {
            AuditOrder::OldestFirst => Box::new(self.rows.iter()),
            AuditOrder::NewestFirst => Box::new(self.rows.iter().rev()),
        }
    }
}

fn comes_before(one: AuditCursor, other: AuditCursor, order: AuditOrder) -> bool {
    match order {
        AuditOrder::OldestFirst => one < other,
        AuditOrder::NewestFirst => one > other,
    }
}

/// A range of keys still to be read.
struct Span {
    prefix: Vec<u8>,
    from: Vec<u8>,
    /// Whether `from` is exclusive.
    from_is_past: bool,
    until: Vec<u8>,
}

impl Span {
    /// One span over the whole log, or one for each subject.
    fn of(
        subjects: &[AuditSubject],
        filter: &AuditFilter,
        order: AuditOrder,
        after: Option<AuditCursor>,
    ) -> Vec<Self> {
        if subjects.is_empty() {
            return vec![Self::along(RowKind::Audit.prefix(), filter, order, after)];
        }
        let subjects = subjects.iter().map(schema::audits_of);
        subjects
            .map(|prefix| Self::along(prefix, filter, order, after))
            .collect()
    }

    fn along(prefix: Vec<u8>, filter: &AuditFilter, order: AuditOrder, after: Option<AuditCursor>) -> Self {
        let from = filter.from.map_or(FIRST, AuditCursor::at);
        // One microsecond more, because a position has no finer resolution; the filter itself cuts off the
        // rest.
        let until = filter.until.map_or(LAST, |until| AuditCursor {
            micros: AuditCursor::at(until).micros.saturating_add(1),
            number: 0,
        });
        let mut span = Self {
            from: schema::audit_within(&prefix, from),
            from_is_past: false,
            until: schema::audit_within(&prefix, until),
            prefix,
        };
        if let Some(after) = after {
            span.pass(after, order);
        }
        span
    }

    /// Drops what is up to this position from the span.
    fn pass(&mut self, cursor: AuditCursor, order: AuditOrder) {
        let key = schema::audit_within(&self.prefix, cursor);
        match order {
            AuditOrder::OldestFirst if key >= self.from => (self.from, self.from_is_past) = (key, true),
            AuditOrder::NewestFirst if key < self.until => self.until = key,
            _ => {}
        }
    }

    fn piece(&self, tree: &Tree, order: AuditOrder) -> Result<Vec<Row>, StoreError> {
        if self.from >= self.until {
            return Ok(Vec::new());
        }
        let from = if self.from_is_past {
            Bound::Excluded(self.from.as_slice())
        } else {
            Bound::Included(self.from.as_slice())
        };
        let rows = tree.range::<&[u8], _>((from, Bound::Excluded(self.until.as_slice())));
        let rows: Result<Vec<Row>, _> = match order {
            AuditOrder::OldestFirst => rows.take(PIECE).collect(),
            AuditOrder::NewestFirst => rows.rev().take(PIECE).collect(),
        };
        Ok(rows?)
    }
}

const FIRST: AuditCursor = AuditCursor { micros: 0, number: 0 };

const LAST: AuditCursor = AuditCursor {
    micros: u64::MAX,
    number: u64::MAX,
};
