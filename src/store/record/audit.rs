//! The rows of audit events.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, only_version_1, version_1};
use crate::ids::AccountId;
use crate::model::{AuditEvent, AuditOutcome};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditEventV1 {
    time: Timestamp,
    event: String,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    who: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    user_agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl StoredRecord for AuditEvent {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let event = self.clone();
        version_1(&AuditEventV1 {
            time: event.time,
            event: event.event.as_str().to_owned(),
            success: event.outcome == AuditOutcome::Success,
            reason: event.reason,
            who: event.who,
            account: event.account,
            by: event.by,
            why: event.why,
            address: event.address,
            request_id: event.request_id,
            user_agent: event.user_agent,
            detail: event.detail,
        })
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        let row: AuditEventV1 = only_version_1(version, json)?;
        Ok(Self {
            time: row.time,
            event: row.event.parse().map_err(|_| RecordError::Field("event"))?,
            outcome: if row.success {
                AuditOutcome::Success
            } else {
                AuditOutcome::Failure
            },
            reason: row.reason,
            who: row.who,
            account: row.account,
            by: row.by,
            why: row.why,
            address: row.address,
            request_id: row.request_id,
            user_agent: row.user_agent,
            detail: row.detail,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::assert_version_1_stays;

    /// A row as version 1 was first written; see `account.rs`.
    const FROZEN: &str = r#"{"time":"2026-01-02T03:04:05.000006Z","event":"disable","success":true,"reason":null,
        "who":"Ann@example.com","account":"01890a5d-ac96-774b-bcce-b302099a8057","by":"root@example.com",
        "why":"left","address":"192.0.2.1","request_id":"r","user_agent":"curl/8","detail":"groups ops"}"#;

    #[test]
    fn version_1_is_read_and_written_as_ever() {
        assert_version_1_stays::<AuditEvent>(FROZEN, &["reason"]);
    }
}
