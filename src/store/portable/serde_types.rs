//! Serde mirrors of the model types; they pin version 1 of the export format.
//!
//! Each mirrors its type field by field, so the compiler reports a missing field. The JSON is pinned by
//! `tests/vectors/export-1.jsonl`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, InvitationId, MailId, SessionId};
use crate::model::{
    AccessKey, AccessKeyId, Account, AccountStatus, Agreement, AuditEvent, AuditKind, AuditOutcome, Decision,
    Email, EmailToken, EncryptedSecret, Invitation, InvitationKind, KeyScope, KeyUse, Mail, MailKind,
    MailOrigin, MailState, Maker, PendingEmail, Purpose, QueuedMail, Session, SignInMethod, TokenDigest,
    Username, WrappedDataKey,
};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Account", deny_unknown_fields)]
pub(super) struct ExportedAccount {
    id: AccountId,
    username: Username,
    former_usernames: Vec<Username>,
    email: Email,
    email_verified: bool,
    pending_email: Option<PendingEmail>,
    name: Option<String>,
    groups: BTreeSet<String>,
    password_hash: String,
    status: AccountStatus,
    decision: Option<Decision>,
    created_at: Timestamp,
    password_changed_at: Timestamp,
    agreements: Vec<Agreement>,
    language: Option<String>,
    last_sign_in_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "WrappedDataKey", deny_unknown_fields)]
pub(super) struct ExportedWrappedDataKey {
    master: String,
    #[serde(with = "ExportedEncryptedSecret")]
    sealed: EncryptedSecret,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AccessKey", deny_unknown_fields)]
pub(super) struct ExportedAccessKey {
    id: AccessKeyId,
    account: AccountId,
    name: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    disabled: bool,
    last_use: Option<KeyUse>,
    scope: KeyScope,
    #[serde(with = "ExportedEncryptedSecret")]
    secret: EncryptedSecret,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "EncryptedSecret", deny_unknown_fields)]
struct ExportedEncryptedSecret {
    #[serde(with = "base64")]
    nonce: [u8; 24],
    #[serde(with = "base64")]
    ciphertext: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Session", deny_unknown_fields)]
pub(super) struct ExportedSession {
    id: SessionId,
    digest: TokenDigest,
    account: AccountId,
    method: SignInMethod,
    access_key: Option<AccessKeyId>,
    created_at: Timestamp,
    last_seen_at: Timestamp,
    proved_at: Option<Timestamp>,
    password_changed_at: Option<Timestamp>,
    address: IpAddr,
    user_agent: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Invitation", deny_unknown_fields)]
pub(super) struct ExportedInvitation {
    id: InvitationId,
    digest: TokenDigest,
    kind: InvitationKind,
    email: Option<Email>,
    groups: BTreeSet<String>,
    created_at: Timestamp,
    expires_at: Timestamp,
    name: Option<String>,
    language: Option<String>,
    approves: bool,
    mailed: bool,
    created_by: Option<String>,
    maker: Option<Maker>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "EmailToken", deny_unknown_fields)]
pub(super) struct ExportedEmailToken {
    digest: TokenDigest,
    #[serde(with = "ExportedPurpose")]
    purpose: Purpose,
    account: AccountId,
    email: Email,
    mail: Option<MailId>,
    maker: Option<Maker>,
    expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Purpose", rename_all = "kebab-case")]
enum ExportedPurpose {
    VerifyEmail,
    Reset,
    ResetByAdministrator,
    ChangeEmail,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "QueuedMail", deny_unknown_fields)]
pub(super) struct ExportedQueuedMail {
    #[serde(with = "ExportedMail")]
    mail: Mail,
    attempts: u32,
    #[serde(with = "ExportedMailState")]
    state: MailState,
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Mail", deny_unknown_fields)]
struct ExportedMail {
    id: MailId,
    to: Email,
    #[serde(with = "ExportedMailKind")]
    topic: MailKind,
    language: Option<String>,
    #[serde(with = "ExportedMailOrigin")]
    cause: MailOrigin,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "MailOrigin", deny_unknown_fields)]
struct ExportedMailOrigin {
    at: Timestamp,
    address: Option<IpAddr>,
    by_administrator: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "MailKind", rename_all = "kebab-case")]
enum ExportedMailKind {
    VerifyEmail,
    AlreadyRegistered,
    Reset,
    ChangeEmail(AccountId),
    EmailChanged(Email),
    UsernameChanged(Username),
    PasswordChanged,
    PasswordReset,
    AccessKeyCreated(AccessKeyId),
    AwaitingApproval(AccountId),
    Approved,
    Declined,
    Invitation(InvitationId),
    AccountAdded,
    AccountAddedBy(Maker),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "MailState", rename_all = "kebab-case")]
enum ExportedMailState {
    Due(Timestamp),
    Failed(Timestamp),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AuditEvent", deny_unknown_fields)]
pub(super) struct ExportedAuditEvent {
    time: Timestamp,
    event: AuditKind,
    outcome: AuditOutcome,
    reason: Option<String>,
    who: String,
    account: Option<AccountId>,
    by: Option<String>,
    why: Option<String>,
    address: Option<IpAddr>,
    request_id: Option<String>,
    user_agent: String,
    detail: Option<String>,
}

/// Bytes as base64url.
pub(super) mod base64 {
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::store::portable) fn serialize<S: Serializer>(
        bytes: &impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(in crate::store::portable) fn deserialize<'de, B: TryFrom<Vec<u8>>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<B, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| D::Error::custom("what should be base64url is not"))?;
        let count = bytes.len();
        B::try_from(bytes).map_err(|_| D::Error::custom(format!("{count} bytes are too few or too many")))
    }
}

/// The subject of failures.
pub(super) mod subject {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::ids::AccountId;
    use crate::model::{AccessKeyId, LockoutSubject};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum ExportedLockoutSubject {
        Account(AccountId),
        AccessKey(AccessKeyId),
        /// SHA-256 of an unknown name.
        Name(#[serde(with = "super::base64")] [u8; 32]),
    }

    pub(in crate::store::portable) fn serialize<S: Serializer>(
        subject: &LockoutSubject,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let exported = match *subject {
            LockoutSubject::Account(id) => ExportedLockoutSubject::Account(id),
            LockoutSubject::AccessKey(id) => ExportedLockoutSubject::AccessKey(id),
            LockoutSubject::Unknown(digest) => ExportedLockoutSubject::Name(digest),
        };
        exported.serialize(serializer)
    }

    pub(in crate::store::portable) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<LockoutSubject, D::Error> {
        Ok(match ExportedLockoutSubject::deserialize(deserializer)? {
            ExportedLockoutSubject::Account(id) => LockoutSubject::Account(id),
            ExportedLockoutSubject::AccessKey(id) => LockoutSubject::AccessKey(id),
            ExportedLockoutSubject::Name(digest) => LockoutSubject::Unknown(digest),
        })
    }
}

/// Mails, and until when each counts.
pub(super) mod mails {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::ids::MailId;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ExportedAddressMail {
        mail: MailId,
        until: Timestamp,
    }

    pub(in crate::store::portable) fn serialize<S: Serializer>(
        mails: &[(MailId, Timestamp)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            mails
                .iter()
                .map(|&(mail, until)| ExportedAddressMail { mail, until }),
        )
    }

    pub(in crate::store::portable) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(MailId, Timestamp)>, D::Error> {
        let exported = Vec::<ExportedAddressMail>::deserialize(deserializer)?;
        Ok(exported
            .into_iter()
            .map(|ExportedAddressMail { mail, until }| (mail, until))
            .collect())
    }
}
