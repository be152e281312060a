//! The record of authentication events: one JSON line each.

use std::net::IpAddr;

use crate::clock::Clock;
use crate::config::AuditConfig;
use crate::request::RequestId;

/// Where an event came from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The client's address; none for a command.
    pub address: Option<IpAddr>,
    /// The request; none for a command.
    pub request: Option<RequestId>,
    /// What the browser called itself, at most 256 characters.
    pub user_agent: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Somebody tried to sign in.
    SignIn,
    /// An administrator ended sessions.
    SessionEnd,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it was meant to.
    Success,
    /// Refused, for the reason with this slug.
    Failure(&'static str),
}

/// An event to record.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// How it ended.
    pub outcome: Outcome,
    /// Whom it is about: an account, or a name that was typed.
    pub who: String,
    /// Who did it, where that is somebody else.
    pub by: Option<String>,
    /// What else an auditor needs to know; never a secret.
    pub detail: Option<String>,
}

/// An event could not be written, and `audit.mode` is "required".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event could not be recorded")]
pub struct AuditError;

/// The record.
#[derive(Debug)]
pub struct Audit {}

impl Audit {
    /// Opens the file, or standard output.
    pub fn open(_config: &AuditConfig, _clock: Clock) -> std::io::Result<Self> {
        todo!()
    }

    /// Writes an event.
    pub fn record(&self, _origin: &Origin, _event: &Event) -> Result<(), AuditError> {
        todo!()
    }
}
