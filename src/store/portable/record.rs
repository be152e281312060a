//! The records of an export: one enum over all kinds.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::serde_types::{
    ExportedAccessKey, ExportedAccount, ExportedAuditEvent, ExportedEmailToken, ExportedInvitation,
    ExportedQueuedMail, ExportedSession, ExportedWrappedDataKey, base64, mails, subject,
};
use crate::ids::MailId;
use crate::model::{
    AccessKey, Account, AuditEvent, EmailToken, Invitation, LockoutSubject, QueuedMail, Session,
    SignatureDigest, Username, WrappedDataKey,
};

/// A record of a store. Derived data such as indexes is not a record.
///
/// The JSON of version 1 never changes: a change of the model changes the serde mirrors, or else makes a new
/// version of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The key of the table of unknown names. A store without such a table ignores it.
    NamesKey(NamesKey),
    /// The wrapped data key.
    DataKey(#[serde(with = "ExportedWrappedDataKey")] WrappedDataKey),
    /// An account.
    Account(#[serde(with = "ExportedAccount")] Account),
    /// A username of a removed account, which no other account gets.
    RetiredUsername(#[serde(with = "ExportedRetiredUsername")] Username),
    /// An access key.
    AccessKey(#[serde(with = "ExportedAccessKey")] AccessKey),
    /// The consecutive failures of a subject, and its lock.
    Failures(ExportedFailures),
    /// A session.
    Session(#[serde(with = "ExportedSession")] Session),
    /// An invitation.
    Invitation(#[serde(with = "ExportedInvitation")] Invitation),
    /// An e-mail token.
    MailedToken(#[serde(with = "ExportedEmailToken")] EmailToken),
    /// A queued or failed mail.
    Mail(#[serde(with = "ExportedQueuedMail")] QueuedMail),
    /// The recent mails to an address that count against its allowance.
    AddressMails(AddressMails),
    /// A spent signature.
    SpentSignature(SpentSignature),
    /// An event of the audit log. Events of one moment come in the order in which they happened.
    AuditEvent(#[serde(with = "ExportedAuditEvent")] AuditEvent),
}

/// The kind of a record, in the order of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// The key of the table of unknown names.
    NamesKey,
    /// The wrapped data key.
    DataKey,
    /// Accounts.
    Account,
    /// Usernames of removed accounts.
    RetiredUsername,
    /// Access keys.
    AccessKey,
    /// Failure counters and locks.
    Failures,
    /// Sessions.
    Session,
    /// Invitations.
    Invitation,
    /// E-mail tokens.
    MailedToken,
    /// Queued and failed mails.
    Mail,
    /// Mails that count against an address's allowance.
    AddressMails,
    /// Spent signatures.
    SpentSignature,
    /// Events of the audit log.
    AuditEvent,
}

impl Record {
    /// Returns its kind.
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::NamesKey(_) => RecordKind::NamesKey,
            Self::DataKey(_) => RecordKind::DataKey,
            Self::Account(_) => RecordKind::Account,
            Self::RetiredUsername(_) => RecordKind::RetiredUsername,
            Self::AccessKey(_) => RecordKind::AccessKey,
            Self::Failures(_) => RecordKind::Failures,
            Self::Session(_) => RecordKind::Session,
            Self::Invitation(_) => RecordKind::Invitation,
            Self::MailedToken(_) => RecordKind::MailedToken,
            Self::Mail(_) => RecordKind::Mail,
            Self::AddressMails(_) => RecordKind::AddressMails,
            Self::SpentSignature(_) => RecordKind::SpentSignature,
            Self::AuditEvent(_) => RecordKind::AuditEvent,
        }
    }
}

impl RecordKind {
    /// All kinds, in the order of an export.
    pub const ALL: [Self; 13] = [
        Self::NamesKey,
        Self::DataKey,
        Self::Account,
        Self::RetiredUsername,
        Self::AccessKey,
        Self::Failures,
        Self::Session,
        Self::Invitation,
        Self::MailedToken,
        Self::Mail,
        Self::AddressMails,
        Self::SpentSignature,
        Self::AuditEvent,
    ];

    /// Returns its name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NamesKey => "names-key",
            Self::DataKey => "data-key",
            Self::Account => "account",
            Self::RetiredUsername => "retired-username",
            Self::AccessKey => "access-key",
            Self::Failures => "failures",
            Self::Session => "session",
            Self::Invitation => "invitation",
            Self::MailedToken => "mailed-token",
            Self::Mail => "mail",
            Self::AddressMails => "address-mails",
            Self::SpentSignature => "spent-signature",
            Self::AuditEvent => "audit-event",
        }
    }
}

/// Identifies the record in messages; never prints a secret.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind().as_str();
        match self {
            Self::Account(account) => write!(f, "{kind} {} ({})", account.id, account.email),
            Self::RetiredUsername(username) => write!(f, "{kind} {username}"),
            Self::AccessKey(key) => write!(f, "{kind} {}", key.id),
            Self::Failures(failures) => match failures.of {
                LockoutSubject::Account(id) => write!(f, "{kind} of account {id}"),
                LockoutSubject::AccessKey(id) => write!(f, "{kind} of access key {id}"),
                LockoutSubject::Unknown(_) => write!(f, "{kind} of a name that belongs to nobody"),
            },
            Self::Session(session) => write!(f, "{kind} {}", session.id),
            Self::Invitation(invitation) => write!(f, "{kind} {}", invitation.id),
            Self::MailedToken(token) => write!(f, "{kind} of account {}", token.account),
            Self::Mail(kept) => write!(f, "{kind} {}", kept.mail.id),
            Self::AddressMails(sent) => write!(f, "{kind} of {}", sent.address),
            Self::NamesKey(_) | Self::DataKey(_) | Self::SpentSignature(_) => f.write_str(kind),
            Self::AuditEvent(event) => write!(f, "{kind} of {}", event.time),
        }
    }
}

/// The key that selects the set of an unknown name in the table of failures.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamesKey {
    /// The key. Secret, because knowing it allows choosing names that evict a certain one.
    #[serde(with = "base64")]
    pub key: [u8; 32],
}

impl fmt::Debug for NamesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamesKey")
    }
}

/// The consecutive failures of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedFailures {
    /// The subject.
    #[serde(with = "subject")]
    pub of: LockoutSubject,
    /// The number of failures.
    pub count: u32,
    /// The lock, if there is one.
    pub lock: Option<ExportedLock>,
    /// When the last failure was counted; for unknown names only.
    pub last: Option<Timestamp>,
}

/// A lock, by the wall clock. In another store it lasts no longer than it would have, nor than locks do
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedLock {
    /// When it ends.
    pub until: Timestamp,
    /// Its whole duration.
    pub lasts: SignedDuration,
}

/// The mails to an address that count against its allowance (S23).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressMails {
    /// The address, as [`Email::key`](crate::model::Email::key).
    pub address: String,
    /// Each mail, and until when it counts.
    #[serde(with = "mails")]
    pub mails: Vec<(MailId, Timestamp)>,
}

/// A spent signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentSignature {
    /// The digest of the signature.
    pub digest: SignatureDigest,
    /// Until when it is remembered; then it is invalid by itself.
    pub until: Timestamp,
}

/// The serde mirror of a retired username.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportedRetiredUsername {
    username: Username,
}

impl ExportedRetiredUsername {
    fn serialize<S: serde::Serializer>(username: &Username, serializer: S) -> Result<S::Ok, S::Error> {
        let username = username.clone();
        Serialize::serialize(&Self { username }, serializer)
    }

    fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Username, D::Error> {
        <Self as Deserialize>::deserialize(deserializer).map(|exported| exported.username)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportedSpentSignature {
    #[serde(with = "base64")]
    signature: [u8; 32],
    until: Timestamp,
}

impl Serialize for SpentSignature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { digest, until } = *self;
        let exported = ExportedSpentSignature {
            signature: *digest.as_bytes(),
            until,
        };
        exported.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SpentSignature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ExportedSpentSignature { signature, until } = ExportedSpentSignature::deserialize(deserializer)?;
        Ok(Self {
            digest: SignatureDigest::from_bytes(signature),
            until,
        })
    }
}
