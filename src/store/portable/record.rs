//! The records of an export: one enum over all kinds.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::serde_types::{
    AccessKeyForm, AccountForm, AuditEventForm, DataKeyForm, InvitationForm, MailForm, MailedTokenForm,
    SessionForm, base64, mails, subject,
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
    DataKey(#[serde(with = "DataKeyForm")] WrappedDataKey),
    /// An account.
    Account(#[serde(with = "AccountForm")] Account),
    /// A username of a removed account, which no other account gets.
    RetiredUsername(#[serde(with = "RetiredForm")] Username),
    /// An access key.
    AccessKey(#[serde(with = "AccessKeyForm")] AccessKey),
    /// The consecutive failures of a subject, and its lock.
    Failures(KeptFailures),
    /// A session.
    Session(#[serde(with = "SessionForm")] Session),
    /// An invitation.
    Invitation(#[serde(with = "InvitationForm")] Invitation),
    /// An e-mail token.
    MailedToken(#[serde(with = "MailedTokenForm")] EmailToken),
    /// A queued or failed mail.
    Mail(#[serde(with = "MailForm")] QueuedMail),
    /// The recent mails to an address that count against its allowance.
    AddressMails(AddressMails),
    /// A spent signature.
    SpentSignature(SpentSignature),
    /// An event of the audit log. Events of one moment come in the order in which they happened.
    AuditEvent(#[serde(with = "AuditEventForm")] AuditEvent),
}

impl Record {
    /// The names of all kinds, in the order of an export.
    pub const KINDS: [&str; 13] = [
        "names-key",
        "data-key",
        "account",
        "retired-username",
        "access-key",
        "failures",
        "session",
        "invitation",
        "mailed-token",
        "mail",
        "address-mails",
        "spent-signature",
        "audit-event",
    ];

    /// The name of the record's kind.
    pub fn kind(&self) -> &'static str {
        Self::KINDS[match self {
            Self::NamesKey(_) => 0,
            Self::DataKey(_) => 1,
            Self::Account(_) => 2,
            Self::RetiredUsername(_) => 3,
            Self::AccessKey(_) => 4,
            Self::Failures(_) => 5,
            Self::Session(_) => 6,
            Self::Invitation(_) => 7,
            Self::MailedToken(_) => 8,
            Self::Mail(_) => 9,
            Self::AddressMails(_) => 10,
            Self::SpentSignature(_) => 11,
            Self::AuditEvent(_) => 12,
        }]
    }
}

/// Identifies the record in messages; never prints a secret.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
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
pub struct KeptFailures {
    /// The subject.
    #[serde(with = "subject")]
    pub of: LockoutSubject,
    /// The number of failures.
    pub count: u32,
    /// The lock, if there is one.
    pub lock: Option<KeptLock>,
    /// When the last failure was counted; for unknown names only.
    pub last: Option<Timestamp>,
}

/// A lock, by the wall clock. In another store it lasts no longer than it would have, nor than locks do
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptLock {
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
struct RetiredForm {
    username: Username,
}

impl RetiredForm {
    fn serialize<S: serde::Serializer>(username: &Username, serializer: S) -> Result<S::Ok, S::Error> {
        let username = username.clone();
        Serialize::serialize(&Self { username }, serializer)
    }

    fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Username, D::Error> {
        <Self as Deserialize>::deserialize(deserializer).map(|form| form.username)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpentSignatureForm {
    #[serde(with = "base64")]
    signature: [u8; 32],
    until: Timestamp,
}

impl Serialize for SpentSignature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { digest, until } = *self;
        let form = SpentSignatureForm {
            signature: *digest.as_bytes(),
            until,
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SpentSignature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let SpentSignatureForm { signature, until } = SpentSignatureForm::deserialize(deserializer)?;
        Ok(Self {
            digest: SignatureDigest::from_bytes(signature),
            until,
        })
    }
}
