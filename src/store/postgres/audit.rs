//! The audit log: events by time, and an index of them by subject and time.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio_postgres::Row;

use super::PostgresStore;
use super::error::OperationError;
use super::row::{Json, decode, encode, execute, query, query_value, readable};
use crate::model::{AuditCursor, AuditEvent};
use crate::store::{AuditFilter, AuditOrder, AuditPage, AuditStore, AuditSubject, StoreError};

/// Events that one read examines, at most: some tens of milliseconds.
const LOOKS: usize = 10_000;

/// Events fetched by one query.
const PIECE: usize = 500;

/// Events that one append removes at most. More than it adds, so that a lowered bound is reached in time;
/// bounded, so that an append stays short.
const REMOVED_AT_ONCE: usize = 512;

/// Counts the stored events; its lock serialises appends.
#[derive(Clone, Debug)]
pub(super) struct AuditLog {
    count: Arc<Mutex<usize>>,
}

impl AuditLog {
    /// Counts the stored events.
    pub(super) async fn open(client: &impl GenericClient) -> Result<Self, OperationError> {
        Ok(Self {
            count: Arc::new(Mutex::new(count(client).await?)),
        })
    }
}

#[async_trait]
impl AuditStore for PostgresStore {
    async fn append_audit(&self, events: Vec<AuditEvent>, at_most: usize) -> Result<(), StoreError> {
        let mut count = self.audit.count.lock().await;
        let after = *count + events.len();
        let excess = after.saturating_sub(at_most).min(REMOVED_AT_ONCE);
        let removed = self
            .database
            .transact((events, excess), |tx, (events, excess)| {
                Box::pin(append(tx, events, *excess))
            })
            .await?;
        *count = after.saturating_sub(removed);
        Ok(())
    }

    async fn read_audit(
        &self,
        filter: AuditFilter,
        order: AuditOrder,
        after: Option<AuditCursor>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        self.database
            .with(async |client| read(client, &filter, order, after, limit).await)
            .await
    }

    async fn prune_audit(&self, before: Timestamp) -> Result<usize, StoreError> {
        let mut known = self.audit.count.lock().await;
        let micros = column(AuditCursor::at(before).micros);
        let (removed, left) = self
            .database
            .transact(micros, |tx, micros| Box::pin(prune(tx, *micros)))
            .await?;
        *known = left;
        Ok(removed)
    }
}

/// Appends events in this order and removes the oldest `excess`. Returns how many it removed.
async fn append(tx: &Transaction<'_>, events: &[AuditEvent], excess: usize) -> Result<usize, OperationError> {
    insert(tx, events).await?;
    if excess == 0 {
        return Ok(0);
    }
    let sql = "DELETE FROM audit_event USING (SELECT micros, number FROM audit_event ORDER BY micros, number LIMIT $1) AS oldest
        WHERE (audit_event.micros, audit_event.number) = (oldest.micros, oldest.number)";
    execute(tx, sql, &[&i64::try_from(excess).unwrap_or(i64::MAX)]).await
}

/// Inserts events and their index rows.
pub(super) async fn insert(client: &impl GenericClient, events: &[AuditEvent]) -> Result<(), OperationError> {
    let sql = "SELECT nextval('audit_number') FROM generate_series(1, $1)";
    let numbers = query(client, sql, &[&i32::try_from(events.len()).unwrap_or(i32::MAX)]).await?;
    let mut rows: (Vec<i64>, Vec<i64>, Vec<i16>, Vec<Json>) = Default::default();
    let mut about: (Vec<Vec<u8>>, Vec<i64>, Vec<i64>) = Default::default();
    for (event, number) in events.iter().zip(numbers) {
        let (micros, number) = (column(AuditCursor::at(event.time).micros), number.try_get(0)?);
        let (version, record) = encode(event)?;
        rows.0.push(micros);
        rows.1.push(number);
        rows.2.push(version);
        rows.3.push(record);
        for subject in AuditSubject::of(event) {
            about.0.push(digest(&subject));
            about.1.push(micros);
            about.2.push(number);
        }
    }
    let sql = "INSERT INTO audit_event (micros, number, version, record)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::json[])";
    execute(client, sql, &[&rows.0, &rows.1, &rows.2, &rows.3]).await?;
    let sql = "INSERT INTO audit_subject (subject, micros, number)
        SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[])";
    execute(client, sql, &[&about.0, &about.1, &about.2]).await?;
    Ok(())
}

/// Removes older events. Returns how many it removed and how many are left.
async fn prune(tx: &Transaction<'_>, before: i64) -> Result<(usize, usize), OperationError> {
    let removed = execute(tx, "DELETE FROM audit_event WHERE micros < $1", &[&before]).await?;
    Ok((removed, count(tx).await?))
}

async fn count(client: &impl GenericClient) -> Result<usize, OperationError> {
    let count: i64 = query_value(client, "SELECT count(*) FROM audit_event", &[]).await?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Reads the log, or the events of the filter's subjects, each once.
async fn read(
    client: &impl GenericClient,
    filter: &AuditFilter,
    order: AuditOrder,
    after: Option<AuditCursor>,
    limit: usize,
) -> Result<AuditPage, OperationError> {
    let mut page = AuditPage {
        next: after,
        ..AuditPage::default()
    };
    let mut looks = 0;
    while looks < LOOKS {
        let piece = piece(client, filter, order, page.next).await?;
        looks += piece.len();
        let is_last = piece.len() < PIECE;
        for row in piece {
            let place = place(&row)?;
            page.next = Some(place);
            match readable(decode::<AuditEvent>(&row, || cursor_name(place)))? {
                Ok(event) if filter.passes(&event) => page.events.push((place, event)),
                Ok(_) => {}
                Err(error) => page.unreadable.push(error.reason()),
            }
            if page.is_full(limit) {
                return Ok(page);
            }
        }
        if is_last {
            page.next = None;
            return Ok(page);
        }
    }
    Ok(page)
}

/// Fetches the next events in the filter's time range, and of its subjects if it names any.
async fn piece(
    client: &impl GenericClient,
    filter: &AuditFilter,
    order: AuditOrder,
    after: Option<AuditCursor>,
) -> Result<Vec<Row>, OperationError> {
    let (comes_after, direction, first) = match order {
        AuditOrder::OldestFirst => (">", "ASC", (-1, -1)),
        AuditOrder::NewestFirst => ("<", "DESC", (i64::MAX, i64::MAX)),
    };
    let after = after.map_or(first, |place| (column(place.micros), column(place.number)));
    let from = filter.from.map_or(0, |from| column(AuditCursor::at(from).micros));
    // Inclusive, because a position has no finer resolution than a microsecond; the filter itself cuts off
    // the rest.
    let until = filter
        .until
        .map_or(i64::MAX, |until| column(AuditCursor::at(until).micros));
    let wanted = format!(
        "(micros, number) {comes_after} ($1, $2) AND micros BETWEEN $3 AND $4
         ORDER BY micros {direction}, number {direction} LIMIT {PIECE}"
    );
    let subjects = filter.subjects();
    if subjects.is_empty() {
        let sql = format!("SELECT micros, number, version, record FROM audit_event WHERE {wanted}");
        return query(client, &sql, &[&after.0, &after.1, &from, &until]).await;
    }
    let sql = format!(
        "SELECT micros, number, version, record FROM audit_event JOIN (
             SELECT DISTINCT micros, number FROM unnest($5::bytea[]) AS about CROSS JOIN LATERAL (
                 SELECT micros, number FROM audit_subject WHERE subject = about AND {wanted}
             ) AS theirs ORDER BY micros {direction}, number {direction} LIMIT {PIECE}
         ) AS found USING (micros, number) ORDER BY micros {direction}, number {direction}"
    );
    let about: Vec<_> = subjects.iter().map(digest).collect();
    query(client, &sql, &[&after.0, &after.1, &from, &until, &about]).await
}

/// The digest that stands for a subject in its column: 128 bits of SHA-256.
pub(super) fn digest(subject: &AuditSubject) -> Vec<u8> {
    let digest = match subject {
        AuditSubject::Account(id) => Sha256::new_with_prefix(b"account\0").chain_update(id.as_bytes()),
        AuditSubject::Name(name) => Sha256::new_with_prefix(b"name\0").chain_update(name),
        AuditSubject::Request(id) => Sha256::new_with_prefix(b"request\0").chain_update(id),
    };
    digest.finalize()[..16].to_vec()
}

/// The cursor of the event in a row.
pub(super) fn place(row: &Row) -> Result<AuditCursor, OperationError> {
    let (micros, number): (i64, i64) = (row.try_get("micros")?, row.try_get("number")?);
    Ok(AuditCursor {
        micros: u64::try_from(micros).unwrap_or(0),
        number: u64::try_from(number).unwrap_or(0),
    })
}

/// Names an event for error messages.
pub(super) fn cursor_name(cursor: AuditCursor) -> String {
    format!("event {} of the audit log", cursor.number)
}

fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
