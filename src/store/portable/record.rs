//! What goes from one store to another.

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

/// One thing that a store keeps. What a store makes for itself, such as what it finds things by, is none.
///
/// Its form is that of version 1 of the file for ever: what changes in the model changes the forms, not the file, or
/// else the file has another version.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// How a store spreads the names that belong to nobody. A store that has no use for it makes nothing of it.
    NamesKey(NamesKey),
    /// What the access keys' secrets are sealed with.
    DataKey(#[serde(with = "DataKeyForm")] WrappedDataKey),
    /// An account.
    Account(#[serde(with = "AccountForm")] Account),
    /// A username of an account that is gone, which nobody else gets.
    RetiredUsername(#[serde(with = "RetiredForm")] Username),
    /// An access key.
    AccessKey(#[serde(with = "AccessKeyForm")] AccessKey),
    /// Failures in a row, and a lock.
    Failures(KeptFailures),
    /// A session.
    Session(#[serde(with = "SessionForm")] Session),
    /// An invitation.
    Invitation(#[serde(with = "InvitationForm")] Invitation),
    /// A link that was mailed or handed over.
    MailedToken(#[serde(with = "MailedTokenForm")] EmailToken),
    /// A mail that waits or failed.
    Mail(#[serde(with = "MailForm")] QueuedMail),
    /// What an address was sent of late.
    AddressMails(AddressMails),
    /// A signature that served.
    SpentSignature(SpentSignature),
    /// An event of the audit log. Those of one moment come in the order in which they happened.
    AuditEvent(#[serde(with = "AuditEventForm")] AuditEvent),
}

impl Record {
    /// The name of every kind, in the order in which they come.
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

    /// The name of its kind.
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

/// Which one it is, for people; nothing of it that proves anything.
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

/// Decides where a store keeps the failures of a name that belongs to nobody.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamesKey {
    /// Whoever knows it could choose names that push a certain one out.
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
    /// Whose.
    #[serde(with = "subject")]
    pub of: LockoutSubject,
    /// How many.
    pub count: u32,
    /// Its lock, if they led to one.
    pub lock: Option<KeptLock>,
    /// When the last one was counted; of a name that belongs to nobody only.
    pub last: Option<Timestamp>,
}

/// A lock, by the wall clock. In another store it never lasts longer than it did, nor than locks do there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptLock {
    /// When it ends.
    pub until: Timestamp,
    /// How long it lasts from its start.
    pub lasts: SignedDuration,
}

/// The mails that an address was sent, as far as they count (S23).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressMails {
    /// The address, as it is compared: see [`Email::key`](crate::model::Email::key).
    pub address: String,
    /// Each mail, and until when it counts.
    #[serde(with = "mails")]
    pub mails: Vec<(MailId, Timestamp)>,
}

/// A signature that served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentSignature {
    /// Which.
    pub digest: SignatureDigest,
    /// Until when it serves nobody; then it is of no use by itself.
    pub until: Timestamp,
}

/// The form of a retired username.
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
