//! What the audit log keeps.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AccessKeyId, AuditDetail, DetailKey};
use crate::ids::AccountId;

named_enum! {
    /// What happened.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    AuditKind {
        /// Somebody tried to sign in.
        SignIn = "sign-in",
        /// A request was signed wrongly.
        SignedRequest = "signed-request",
        /// Somebody agreed to terms that are new since they last did.
        Agree = "agree",
        /// Somebody who is signed in was asked for the password again.
        Proof = "proof",
        /// Somebody signed out.
        SignOut = "sign-out",
        /// Somebody tried to make an account for themselves.
        SignUp = "sign-up",
        /// An account is about to be made for somebody who asked for one; only where the record is required.
        SignUpBegin = "sign-up-begin",
        /// A name was locked after too many failures.
        Lock = "lock",
        /// An administrator lifted a lock.
        Unlock = "unlock",
        /// Sessions were ended by their owner, by an administrator, or by the sign-in that took their place.
        SessionEnd = "session-end",
        /// An administrator added an account.
        AccountAdd = "account-add",
        /// An account was deleted.
        AccountDelete = "account-delete",
        /// An administrator let an account in.
        Approve = "approve",
        /// An administrator did not let an account in.
        Decline = "decline",
        /// An administrator shut an account out.
        Disable = "disable",
        /// An administrator let an account in again.
        Enable = "enable",
        /// An account got another password.
        PasswordChange = "password-change",
        /// Somebody asked for a link that sets a new password.
        ResetRequest = "reset-request",
        /// Somebody asked for the link that proves an address once more.
        VerifyRequest = "verify-request",
        /// An administrator made a link that sets a new password.
        ResetLink = "reset-link",
        /// A password was set anew with a link.
        PasswordReset = "password-reset",
        /// An address was proven with a link.
        EmailVerify = "email-verify",
        /// Somebody asked for a link that moves their account to another address.
        EmailChangeRequest = "email-change-request",
        /// A change of the address was taken back before it was confirmed.
        EmailChangeCancel = "email-change-cancel",
        /// An account moved to another address.
        EmailChange = "email-change",
        /// An account got another name.
        NameChange = "name-change",
        /// Another username.
        UsernameChange = "username-change",
        /// An account got other groups.
        GroupsChange = "groups-change",
        /// An account got another language for its mails.
        LanguageChange = "language-change",
        /// Somebody was invited.
        InvitationCreate = "invitation-create",
        /// An invitation was revoked.
        InvitationRevoke = "invitation-revoke",
        /// A link for the first administrator was made.
        FirstAdministratorLink = "first-administrator-link",
        /// An access key was made.
        AccessKeyCreate = "access-key-create",
        /// An access key was switched off.
        AccessKeyDisable = "access-key-disable",
        /// An access key was switched on again.
        AccessKeyEnable = "access-key-enable",
        /// An access key was revoked.
        AccessKeyRevoke = "access-key-revoke",
        /// The data key was sealed with another master key.
        MasterKeyRotate = "master-key-rotate",
        /// A mail that failed for good is sent again.
        MailAgain = "mail-again",
        /// The configuration was read again.
        Reload = "reload",
        /// Everything in the store was written out.
        StoreExport = "store-export",
        /// The same, as a backup.
        StoreBackup = "store-backup",
        /// The store was filled from an export or a backup.
        StoreImport = "store-import",
        /// Events of the audit log were exported.
        AuditExport = "audit-export",
        /// Somebody who may not asked for a page of the administrators.
        AdminDenied = "admin-denied",
        /// Events beyond the share that an account or a client has of the log, summed up.
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

/// A text that names no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such event")]
pub struct NotAnEvent;

/// An event of the audit log, in the form that its lines, exports, commands and pages have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// When.
    pub time: Timestamp,
    /// What happened.
    pub event: AuditKind,
    /// Whether it went as it was meant to.
    pub outcome: AuditOutcome,
    /// Why it was refused: a slug.
    pub reason: Option<String>,
    /// Whom it is about: an address, or a name that was typed.
    #[serde(rename = "user")]
    pub who: String,
    /// The account that it is about, where there is one.
    pub account: Option<AccountId>,
    /// Who did it, where that is somebody else.
    pub by: Option<String>,
    /// Why they did, in their words.
    pub why: Option<String>,
    /// The client's address; none for a command.
    #[serde(rename = "client")]
    pub address: Option<IpAddr>,
    /// The request; none for a command.
    pub request_id: Option<String>,
    /// What the browser called itself; `null` in JSON if it did not.
    #[serde(serialize_with = "null_if_empty", deserialize_with = "empty_if_null")]
    pub user_agent: String,
    /// What else an auditor needs to know.
    pub detail: Option<String>,
}

fn null_if_empty<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    Some(text).filter(|text| !text.is_empty()).serialize(serializer)
}

fn empty_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl AuditEvent {
    /// The access key that somebody signed in with, or tried to: a refusal is recorded of the key itself.
    pub fn access_key(&self) -> Option<AccessKeyId> {
        let parsed = |text: &str| AccessKeyId::parse(text.as_bytes()).ok();
        parsed(&self.who).or_else(|| {
            let detail = self.detail.as_deref().and_then(AuditDetail::read)?;
            detail.get(DetailKey::AccessKey).and_then(parsed)
        })
    }
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// As it was meant to.
    Success,
    /// Refused.
    Failure,
}

/// Where an event is in the record: by time, and of one moment in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditCursor {
    /// Microseconds since 1970.
    pub micros: u64,
    /// Which of that moment.
    pub number: u64,
}

impl AuditCursor {
    /// Before all events of this moment.
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
        Ok(Self {
            micros: micros.parse().map_err(|_| NotAnEvent)?,
            number: number.parse().map_err(|_| NotAnEvent)?,
        })
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
        for wrong in ["", "1", "1-", "-1", "x-1"] {
            assert!(wrong.parse::<AuditCursor>().is_err(), "{wrong}");
        }
    }
}
