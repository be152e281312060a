//! The record of authentication and administrative events: one JSON line each (S51).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::Actor;
use crate::clock::Clock;
use crate::config::{AuditConfig, AuditMode};
use crate::request::RequestId;

const USER_AGENT_LENGTH: usize = 256;

/// Where an event came from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The client's address; none for a command.
    pub address: Option<IpAddr>,
    /// The request; none for a command.
    pub request: Option<RequestId>,
    /// What the browser called itself; what goes beyond 256 characters is not recorded.
    pub user_agent: String,
    /// The language in which they read (BCP 47), if that is known.
    pub language: Option<String>,
}

impl Origin {
    /// What the browser called itself, at most 256 characters.
    pub fn short_user_agent(&self) -> &str {
        let agent = &self.user_agent;
        let end = agent.char_indices().nth(USER_AGENT_LENGTH);
        end.map_or(agent, |(end, _)| &agent[..end])
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Somebody tried to sign in.
    SignIn,
    /// A request was signed wrongly.
    SignedRequest,
    /// Somebody who is signed in was asked for the password again.
    Proof,
    /// Somebody signed out.
    SignOut,
    /// Somebody tried to make an account for themselves.
    SignUp,
    /// An account is about to be made for somebody who asked for one; only where the record is required.
    SignUpBegin,
    /// A name was locked after too many failures.
    Lock,
    /// An administrator lifted a lock.
    Unlock,
    /// An administrator ended sessions.
    SessionEnd,
    /// An administrator added an account.
    AccountAdd,
    /// An administrator deleted an account.
    AccountDelete,
    /// An administrator let an account in.
    Approve,
    /// An administrator did not let an account in.
    Decline,
    /// An administrator shut an account out.
    Disable,
    /// An administrator let an account in again.
    Enable,
    /// An account got another password.
    PasswordChange,
    /// Somebody asked for a link that sets a new password.
    ResetRequest,
    /// A password was set anew with a link.
    PasswordReset,
    /// An address was proven with a link.
    EmailVerify,
    /// An account moved to another address.
    EmailChange,
    /// An account got another name.
    NameChange,
    /// An account got other groups.
    GroupsChange,
    /// Somebody was invited.
    InvitationCreate,
    /// An invitation was revoked.
    InvitationRevoke,
    /// A link for the first administrator was made.
    FirstAdministratorLink,
    /// An access key was made.
    AccessKeyCreate,
    /// An access key was switched off.
    AccessKeyDisable,
    /// An access key was switched on again.
    AccessKeyEnable,
    /// An access key was revoked.
    AccessKeyRevoke,
    /// The data key was sealed with another master key.
    MasterKeyRotate,
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
    /// Who did it, where that is somebody else, and why.
    pub by: Option<Actor>,
    /// What else an auditor needs to know; never a secret.
    pub detail: Option<String>,
}

impl Event {
    /// Something that went as it was meant to.
    pub fn success(kind: Kind, who: impl Into<String>) -> Self {
        Self {
            kind,
            outcome: Outcome::Success,
            who: who.into(),
            by: None,
            detail: None,
        }
    }

    /// Something that was refused.
    pub fn failure(kind: Kind, who: impl Into<String>, reason: &'static str) -> Self {
        Self {
            outcome: Outcome::Failure(reason),
            ..Self::success(kind, who)
        }
    }

    /// The same, done by somebody else.
    #[must_use]
    pub fn by(self, by: &Actor) -> Self {
        Self {
            by: Some(by.clone()),
            ..self
        }
    }

    /// The same, with what else an auditor needs to know.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }
}

/// An event could not be written, and `audit.mode` is "required".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event could not be recorded")]
pub struct AuditError;

/// The record.
#[derive(Debug)]
pub struct Audit {
    sink: Sink,
    mode: AuditMode,
    clock: Clock,
}

#[derive(Debug)]
enum Sink {
    StandardOutput,
    StandardError,
    File(Mutex<File>),
}

/// One line, in the order in which it is written.
#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    event: Kind,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    who: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl Audit {
    /// The file's name that stands for standard error. Opened as a file it would not share its place with the
    /// messages that are written there, and each would overwrite the other.
    pub const STANDARD_ERROR: &str = "/dev/stderr";

    /// Opens the file, standard output or standard error. A file and its folder are made if need be; the file is its owner's alone.
    pub fn open(config: &AuditConfig, clock: Clock) -> io::Result<Self> {
        let sink = if config.file.as_os_str().is_empty() {
            Sink::StandardOutput
        } else if config.file == Path::new(Self::STANDARD_ERROR) {
            Sink::StandardError
        } else {
            if let Some(folder) = config.file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&config.file)?;
            Sink::File(Mutex::new(file))
        };
        Ok(Self {
            sink,
            mode: config.mode,
            clock,
        })
    }

    /// Writes an event. A failure raises the log's alarm; where the record is required it is an error too (S52).
    pub fn record(&self, origin: &Origin, event: &Event) -> Result<(), AuditError> {
        let written = self.line(origin, event).and_then(|line| self.sink.write(&line));
        let Err(error) = written else { return Ok(()) };
        tracing::error!(%error, event = ?event.kind, who = event.who, "an event could not be recorded");
        match self.mode {
            AuditMode::BestEffort => Ok(()),
            AuditMode::Required => Err(AuditError),
        }
    }

    /// Where the record is required, writes what is about to be done: what cannot be recorded is then not done at all.
    pub(super) fn announce(&self, origin: &Origin, event: &Event) -> Result<(), AuditError> {
        match self.mode {
            AuditMode::BestEffort => Ok(()),
            AuditMode::Required => self.record(origin, event),
        }
    }

    /// Writes an event about something that is done and stays done, whether or not it can be recorded.
    pub(super) fn note(&self, origin: &Origin, event: &Event) {
        // The alarm is all that can be raised now, and was.
        self.record(origin, event).ok();
    }

    fn line(&self, origin: &Origin, event: &Event) -> io::Result<Vec<u8>> {
        let (outcome, reason) = match event.outcome {
            Outcome::Success => ("success", None),
            Outcome::Failure(reason) => ("failure", Some(reason)),
        };
        let mut line = serde_json::to_vec(&Line {
            time: self.clock.now(),
            event: event.kind,
            outcome,
            reason,
            who: &event.who,
            by: event.by.as_ref().map(Actor::name),
            why: event.by.as_ref().and_then(Actor::reason),
            address: origin.address,
            request_id: origin.request.map(|id| id.to_string()),
            user_agent: origin.short_user_agent(),
            detail: event.detail.as_deref(),
        })?;
        line.push(b'\n');
        Ok(line)
    }
}

impl Sink {
    /// One write a line, so that lines of several writers to one file never mix.
    fn write(&self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::StandardOutput => {
                let mut output = io::stdout().lock();
                output.write_all(line)?;
                output.flush()
            }
            Self::StandardError => io::stderr().lock().write_all(line),
            Self::File(file) => file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write_all(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    fn open(file: &Path, mode: AuditMode) -> Audit {
        let config = AuditConfig {
            file: file.to_owned(),
            mode,
        };
        Audit::open(&config, Clock::manual(Timestamp::UNIX_EPOCH).0).unwrap()
    }

    #[test]
    fn s51_one_line_an_event_whatever_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sub/audit.jsonl");
        let audit = open(&file, AuditMode::Required);
        let origin = Origin {
            address: Some([127, 0, 0, 1].into()),
            request: None,
            user_agent: "é".repeat(300),
            language: None,
        };
        let event = Event::failure(Kind::SignIn, "a\r\n{\"forged\":1}\u{2028}", "locked");
        audit.record(&origin, &event).unwrap();
        audit
            .record(
                &Origin::default(),
                &Event::success(Kind::Unlock, "b").by(&Actor::named("root").because("asked for it")),
            )
            .unwrap();

        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        let first: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(first["time"], "1970-01-01T00:00:00Z");
        assert_eq!(first["event"], "sign-in");
        assert_eq!(first["outcome"], "failure");
        assert_eq!(first["reason"], "locked");
        assert_eq!(first["who"], event.who);
        assert_eq!(first["address"], "127.0.0.1");
        assert_eq!(first["user_agent"], "é".repeat(256));
        assert_eq!(
            lines[1],
            r#"{"time":"1970-01-01T00:00:00Z","event":"unlock","outcome":"success","who":"b","by":"root","why":"asked for it"}"#
        );
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn s52_a_record_that_cannot_be_written() {
        let event = Event::success(Kind::SignOut, "a");
        let full = Path::new("/dev/full");
        assert!(
            open(full, AuditMode::BestEffort)
                .record(&Origin::default(), &event)
                .is_ok()
        );
        assert_eq!(
            open(full, AuditMode::Required).record(&Origin::default(), &event),
            Err(AuditError)
        );
    }
}
