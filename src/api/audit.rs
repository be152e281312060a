//! Events of the audit log as JSON.

use serde::{Deserialize, Serialize};

use crate::model::{AuditCursor, AuditEvent};
use crate::services::AuditPage;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEventView {
    /// Where it is in the log.
    pub cursor: AuditCursor,
    /// The event, as in its audit line.
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// A page of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEventList {
    /// The events.
    pub events: Vec<AuditEventView>,
    /// Which could not be read, and why: they stand in no other's way.
    pub unreadable: Vec<String>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<AuditCursor>,
}

impl From<AuditPage> for AuditEventList {
    fn from(page: AuditPage) -> Self {
        let view = |(cursor, event)| AuditEventView { cursor, event };
        Self {
            events: page.events.into_iter().map(view).collect(),
            unreadable: page.unreadable,
            next: page.next,
        }
    }
}
