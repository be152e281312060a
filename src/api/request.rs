//! A past request as JSON: what memory, the access log and the audit log have of it.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::AuditEvent;

/// What happened to a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestReport {
    /// From the running gateway's memory: refusals and its own responses.
    pub recent: Option<RecentRequest>,
    /// From the access log.
    pub logged: Option<LoggedRequest>,
    /// Why the access log could not be read.
    pub log_error: Option<String>,
    /// From the audit log.
    pub events: Vec<AuditEvent>,
}

impl RequestReport {
    /// Whether nothing is known of the request.
    pub fn is_empty(&self) -> bool {
        self.recent.is_none() && self.logged.is_none() && self.events.is_empty()
    }
}

/// A recent response, as the admin socket, the page and `--json` give it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentRequest {
    /// The request id.
    pub request_id: String,
    /// When the request arrived.
    pub time: Timestamp,
    /// The client's address.
    pub client: IpAddr,
    /// The method; `None` if the head could not be parsed.
    pub method: Option<String>,
    /// The host.
    pub host: String,
    /// The path, without the query, cut at 256 bytes.
    pub path: String,
    /// The username, if the client was authenticated.
    pub user: Option<String>,
    /// The user's groups.
    pub groups: Vec<String>,
    /// The route, as host and path.
    pub route: Option<String>,
    /// The status of the response.
    pub status: u16,
    /// The slug of the refusal.
    pub slug: Option<String>,
    /// The cause, where the slug does not say all.
    pub reason: Option<String>,
}

/// A line of the access log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// The request id.
    pub request_id: String,
    /// When the request arrived.
    pub time: Timestamp,
    /// The client's address.
    pub client: IpAddr,
    /// The method; `None` if the head could not be parsed.
    pub method: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The path, without the query.
    pub path: Option<String>,
    /// The status of the response.
    pub status: u16,
    /// The username, if the client was authenticated.
    pub user: Option<String>,
    /// The route, as host and path.
    pub route: Option<String>,
    /// The server that the upstream chose.
    pub upstream: Option<String>,
    /// Bytes of response content.
    pub bytes: Option<u64>,
    /// Duration, in microseconds.
    pub duration_us: Option<u64>,
}
