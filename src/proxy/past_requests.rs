//! What happened to a past request: looked up in memory, in the access log and in the audit log.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::spawn_blocking;

use super::RequestHistory;
use super::access_log::find_request;
use crate::api::RequestReport;
use crate::config::LogConfig;
use crate::portal::RequestLookup;
use crate::services::{Audit, AuditFilter, AuditOrder, StoreError};

/// The most reads of the audit log, each of which is bounded.
const LOOKS: usize = 100;

/// The most events of a request.
const EVENTS: usize = 50;

/// The past requests of a running gateway, for the administrators' page.
#[derive(Debug)]
pub(super) struct PastRequests {
    pub(super) history: Arc<RequestHistory>,
    pub(super) log: LogConfig,
    pub(super) audit: Arc<Audit>,
}

#[async_trait]
impl RequestLookup for PastRequests {
    async fn find(&self, id: &str) -> Result<RequestReport, StoreError> {
        find_past_request(id, &self.audit, &self.log, Some(&self.history)).await
    }
}

/// Looks up the request with this id; `history` is the memory of the gateway that runs. The report is empty if nothing
/// is known of it.
pub async fn find_past_request(
    id: &str,
    audit: &Audit,
    log: &LogConfig,
    history: Option<&RequestHistory>,
) -> Result<RequestReport, StoreError> {
    let recent = history.and_then(|recent| recent.find(id));
    let mut events = Vec::new();
    let filter = AuditFilter {
        request: Some(id.to_owned()),
        // Events come after their request; their times are less precise.
        from: recent
            .as_ref()
            .and_then(|request| request.time.checked_sub(Duration::from_secs(1)).ok()),
        ..AuditFilter::default()
    };
    let mut after = None;
    for _ in 0..LOOKS {
        let order = AuditOrder::NewestFirst;
        let page = audit.read(filter.clone(), order, after, EVENTS).await?;
        events.extend(page.events.into_iter().map(|(_, event)| event));
        after = page.next;
        // The events of one request are written together.
        if after.is_none() || !events.is_empty() {
            break;
        }
    }
    events.reverse();
    let wanted = id.to_owned();
    let (logged, log_error) = match search_access_log(log, move |file| find_request(file, &wanted)).await {
        Ok(logged) => (logged.flatten(), None),
        Err(error) => (None, Some(error)),
    };
    Ok(RequestReport {
        recent,
        logged,
        log_error,
        events,
    })
}

/// Searches the file of the access log; `None` if it goes to no file. The error says that the file cannot be read, and
/// why.
pub async fn search_access_log<T: Send + 'static>(
    log: &LogConfig,
    search: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<Option<T>, String> {
    if !log.access || log.access_file.as_os_str().is_empty() {
        return Ok(None);
    }
    let file = log.access_file.clone();
    let found = spawn_blocking(move || search(&file)).await;
    found
        .map_err(io::Error::from)
        .flatten()
        .map(Some)
        .map_err(|error| format!("{} cannot be read: {error}", log.access_file.display()))
}
