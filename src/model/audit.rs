//! Audit events: their kinds, the event as every reader of the audit log gets it, and its cursor.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AccessKeyId, AuditDetail, DetailKey};
use crate::ids::AccountId;

named_enum! {
    /// The kind of an audit event.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    AuditKind {
        /// An attempt to sign in.
        SignIn = "sign-in",
        /// A request with a signature that was rejected.
        SignedRequest = "signed-request",
        /// Consent at a sign-in to a new version of the terms.
        Agree = "agree",
        /// Re-authentication: a signed-in user was asked for the password again.
        Proof = "proof",
        /// A user signed out.
        SignOut = "sign-out",
        /// An attempt to sign up.
        SignUp = "sign-up",
        /// An account is about to be created for a signup; recorded only if `audit.mode` requires the audit
        /// log.
        SignUpBegin = "sign-up-begin",
        /// A subject was locked after too many failures.
        Lock = "lock",
        /// An administrator lifted a lock.
        Unlock = "unlock",
        /// Sessions were ended by their owner, by an administrator, or by the sign-in that replaced them.
        SessionEnd = "session-end",
        /// An administrator added an account.
        AccountAdd = "account-add",
        /// An account was deleted.
        AccountDelete = "account-delete",
        /// An administrator approved an account.
        Approve = "approve",
        /// An administrator declined an account.
        Decline = "decline",
        /// An administrator disabled an account.
        Disable = "disable",
        /// An administrator enabled an account.
        Enable = "enable",
        /// An account's password was changed.
        PasswordChange = "password-change",
        /// A password reset link was requested.
        ResetRequest = "reset-request",
        /// Another verification link was requested.
        VerifyRequest = "verify-request",
        /// An administrator made a password reset link.
        ResetLink = "reset-link",
        /// A password was set with a reset link.
        PasswordReset = "password-reset",
        /// An address was verified with a link.
        EmailVerify = "email-verify",
        /// A change of an account's address was requested.
        EmailChangeRequest = "email-change-request",
        /// A pending change of address was cancelled.
        EmailChangeCancel = "email-change-cancel",
        /// An account's address was changed.
        EmailChange = "email-change",
        /// An account's display name was changed.
        NameChange = "name-change",
        /// An account's username was changed.
        UsernameChange = "username-change",
        /// An account's groups were changed.
        GroupsChange = "groups-change",
        /// The language of an account's mails was changed.
        LanguageChange = "language-change",
        /// An invitation was created.
        InvitationCreate = "invitation-create",
        /// An invitation was revoked.
        InvitationRevoke = "invitation-revoke",
        /// A link for the first administrator was made.
        FirstAdministratorLink = "first-administrator-link",
        /// An access key was created.
        AccessKeyCreate = "access-key-create",
        /// An access key was disabled.
        AccessKeyDisable = "access-key-disable",
        /// An access key was enabled.
        AccessKeyEnable = "access-key-enable",
        /// An access key was revoked.
        AccessKeyRevoke = "access-key-revoke",
        /// The data key was wrapped with another master key.
        MasterKeyRotate = "master-key-rotate",
        /// A mail that had failed for good was queued again, or one that waited was made due.
        MailAgain = "mail-again",
        /// A mail that waited or had failed was removed.
        MailDrop = "mail-drop",
        /// The configuration was reloaded.
        Reload = "reload",
        /// The whole store was exported.
        StoreExport = "store-export",
        /// The whole store was backed up.
        StoreBackup = "store-backup",
        /// The store was filled from an export or a backup.
        StoreImport = "store-import",
        /// Events of the audit log were exported.
        AuditExport = "audit-export",
        /// A user without the right requested an administrators' page.
        AdminDenied = "admin-denied",
        /// A summary of the events beyond an account's or a client's share of the audit log.
        Summary = "summary",
    }
}

impl FromStr for AuditKind {
    type Err = NotAnEvent;

    fn from_str(text: &str) -> Result<Self, NotAnEvent> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or(NotAnEvent)
    }
}

/// The error for a text that is no event kind or no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such event")]
pub struct NotAnEvent;

/// An event of the audit log. Its JSON is that of log lines, exports, commands and pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// When it happened.
    pub time: Timestamp,
    /// The kind.
    pub event: AuditKind,
    /// Whether the action succeeded.
    pub outcome: AuditOutcome,
    /// The reason of a refusal, as a slug.
    pub reason: Option<String>,
    /// Whom it is about: an address, or a name that was typed.
    #[serde(rename = "user")]
    pub who: String,
    /// The subject's account, if there is one.
    pub account: Option<AccountId>,
    /// The actor, if other than the subject.
    pub by: Option<String>,
    /// The actor's reason, as typed.
    pub why: Option<String>,
    /// The client's address; none for a command.
    #[serde(rename = "client")]
    pub address: Option<IpAddr>,
    /// The request's id; `None` for a command.
    pub request_id: Option<String>,
    /// The `User-Agent`; `null` in JSON if empty.
    #[serde(serialize_with = "null_if_empty", deserialize_with = "empty_if_null")]
    pub user_agent: String,
    /// Further facts, in the form of [`AuditDetail`].
    pub detail: Option<String>,
}

fn null_if_empty<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    Some(text).filter(|text| !text.is_empty()).serialize(serializer)
}

fn empty_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl AuditEvent {
    /// Returns the access key of a sign-in or an attempt: a refusal has the key as its subject, a success in
    /// its detail.
    pub fn access_key(&self) -> Option<AccessKeyId> {
        let parsed = |text: &str| AccessKeyId::parse(text.as_bytes()).ok();
        parsed(&self.who).or_else(|| {
            let detail = self.detail.as_deref().and_then(AuditDetail::read)?;
            detail.get(DetailKey::AccessKey).and_then(parsed)
        })
    }
}

/// The outcome of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// It succeeded.
    Success,
    /// It was refused.
    Failure,
}

/// A position in the audit log: ordered by time, then by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditCursor {
    /// Microseconds since 1970.
    pub micros: u64,
    /// Orders the events of one microsecond.
    pub number: u64,
}

impl AuditCursor {
    /// Returns the position before all events of this moment.
    pub fn at(moment: Timestamp) -> Self {
        Self {
            micros: u64::try_from(moment.as_microsecond()).unwrap_or(0),
            number: 0,
        }
    }
}

impl fmt::Display for AuditCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.micros, self.number)
    }
}

impl FromStr for AuditCursor {
    type Err = NotAnEvent;

    fn from_str(text: &str) -> Result<Self, NotAnEvent> {
        let (micros, number) = text.split_once('-').ok_or(NotAnEvent)?;
        let cursor = Self {
            micros: micros.parse().map_err(|_| NotAnEvent)?,
            number: number.parse().map_err(|_| NotAnEvent)?,
        };
        // A number may be spelled in several ways, a cursor in one.
        if cursor.to_string() == text {
            Ok(cursor)
        } else {
            Err(NotAnEvent)
        }
    }
}

impl Serialize for AuditCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AuditCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_one_name_everywhere() {
        for kind in AuditKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert_eq!("nonsense".parse::<AuditKind>(), Err(NotAnEvent));
    }

    #[test]
    fn places_are_read_as_they_are_written_and_sort_by_time() {
        let place = AuditCursor {
            micros: 1_700_000_000_000_001,
            number: 7,
        };
        assert_eq!(place.to_string().parse(), Ok(place));
        assert!(place < AuditCursor::at(Timestamp::from_microsecond(1_700_000_000_000_002).unwrap()));
        for wrong in ["", "1", "1-", "-1", "x-1", "+1-1", "1-+1", "01-1", "1-01"] {
            assert!(wrong.parse::<AuditCursor>().is_err(), "{wrong}");
        }
    }
}
