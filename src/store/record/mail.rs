//! The rows of queued mails, and of the quota of mails to an address.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RecordError, StoredRecord, only_version_1, version_1};
use crate::clock;
use crate::ids::{AccountId, InvitationId, MailId};
use crate::model::{AccessKeyId, Email, Mail, MailKind, MailOrigin, MailState, Maker, QueuedMail};
use crate::store::StoreError;

/// The recent mails to an address.
#[derive(Default)]
pub(in crate::store) struct MailQuota {
    mails: Vec<(MailId, Timestamp)>,
}

impl MailQuota {
    /// Makes a quota of mails, each with the time until which it counts.
    pub(in crate::store) fn of(mails: Vec<(MailId, Timestamp)>) -> Self {
        Self { mails }
    }

    /// The mails, each with the time until which it counts.
    pub(in crate::store) fn into_mails(self) -> Vec<(MailId, Timestamp)> {
        self.mails
    }

    /// Counts a mail; returns false if it would exceed `allowed` within `window`. A mail that is counted
    /// already stays so.
    pub(in crate::store) fn count(
        &mut self,
        id: MailId,
        now: Timestamp,
        allowed: u32,
        window: Duration,
    ) -> bool {
        if self.mails.iter().any(|(counted, _)| *counted == id) {
            return true;
        }
        // A mail that a clock that was ahead counted in the future is dropped.
        let latest = now.checked_add(window).unwrap_or(Timestamp::MAX);
        self.mails
            .retain(|(_, until)| *until > now && !clock::is_ahead(*until, latest));
        if self.mails.len() >= usize::try_from(allowed).unwrap_or(usize::MAX) {
            return false;
        }
        self.mails
            .push((id, now.checked_add(window).unwrap_or(Timestamp::MAX)));
        true
    }

    /// When the last mail stops counting; `None` without mails.
    pub(in crate::store) fn counts_until(&self) -> Option<Timestamp> {
        self.mails.iter().map(|(_, until)| *until).max()
    }

    /// Returns whether no mail counts any more.
    pub(in crate::store) fn is_over(&self, now: Timestamp) -> bool {
        self.mails.iter().all(|(_, until)| *until <= now)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MailQuotaV1 {
    /// Each mail, and until when it counts.
    mails: Vec<(MailId, Timestamp)>,
}

impl StoredRecord for MailQuota {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        version_1(&MailQuotaV1 {
            mails: self.mails.clone(),
        })
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        let MailQuotaV1 { mails } = only_version_1(version, json)?;
        Ok(Self { mails })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MailV1 {
    id: MailId,
    to: String,
    topic: TopicV1,
    language: Option<String>,
    at: Timestamp,
    address: Option<IpAddr>,
    by_administrator: bool,
    attempts: u32,
    state: StateV1,
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TopicV1 {
    VerifyEmail,
    AlreadyRegistered,
    Reset,
    ChangeEmail(AccountId),
    EmailChanged(String),
    UsernameChanged(String),
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
#[serde(rename_all = "kebab-case")]
enum StateV1 {
    Due(Timestamp),
    Failed(Timestamp),
}

impl StoredRecord for QueuedMail {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let Mail {
            id,
            to,
            topic,
            language,
            cause,
        } = &self.mail;
        version_1(&MailV1 {
            id: *id,
            to: to.as_str().to_owned(),
            topic: topic.into(),
            language: language.clone(),
            at: cause.at,
            address: cause.address,
            by_administrator: cause.by_administrator,
            attempts: self.attempts,
            state: match self.state {
                MailState::Due(at) => StateV1::Due(at),
                MailState::Failed(at) => StateV1::Failed(at),
            },
            reason: self.reason.clone(),
        })
    }

    fn decode(version: u8, json: &[u8]) -> Result<Self, RecordError> {
        let row: MailV1 = only_version_1(version, json)?;
        Ok(Self {
            mail: Mail {
                id: row.id,
                to: email(&row.to)?,
                topic: row.topic.try_into()?,
                language: row.language,
                cause: MailOrigin {
                    at: row.at,
                    address: row.address,
                    by_administrator: row.by_administrator,
                },
            },
            attempts: row.attempts,
            state: match row.state {
                StateV1::Due(at) => MailState::Due(at),
                StateV1::Failed(at) => MailState::Failed(at),
            },
            reason: row.reason,
        })
    }
}

fn email(text: &str) -> Result<Email, RecordError> {
    text.parse().map_err(|_| RecordError::Field("address"))
}

impl From<&MailKind> for TopicV1 {
    fn from(topic: &MailKind) -> Self {
        match topic {
            MailKind::VerifyEmail => Self::VerifyEmail,
            MailKind::AlreadyRegistered => Self::AlreadyRegistered,
            MailKind::Reset => Self::Reset,
            MailKind::ChangeEmail(id) => Self::ChangeEmail(*id),
            MailKind::EmailChanged(email) => Self::EmailChanged(email.as_str().to_owned()),
            MailKind::UsernameChanged(username) => Self::UsernameChanged(username.to_string()),
            MailKind::PasswordChanged => Self::PasswordChanged,
            MailKind::PasswordReset => Self::PasswordReset,
            MailKind::AccessKeyCreated(id) => Self::AccessKeyCreated(*id),
            MailKind::AwaitingApproval(id) => Self::AwaitingApproval(*id),
            MailKind::Approved => Self::Approved,
            MailKind::Declined => Self::Declined,
            MailKind::Invitation(id) => Self::Invitation(*id),
            MailKind::AccountAdded => Self::AccountAdded,
            MailKind::AccountAddedBy(maker) => Self::AccountAddedBy(*maker),
        }
    }
}

impl TryFrom<TopicV1> for MailKind {
    type Error = RecordError;

    fn try_from(topic: TopicV1) -> Result<Self, RecordError> {
        Ok(match topic {
            TopicV1::VerifyEmail => Self::VerifyEmail,
            TopicV1::AlreadyRegistered => Self::AlreadyRegistered,
            TopicV1::Reset => Self::Reset,
            TopicV1::ChangeEmail(id) => Self::ChangeEmail(id),
            TopicV1::EmailChanged(to) => Self::EmailChanged(email(&to)?),
            TopicV1::UsernameChanged(username) => {
                Self::UsernameChanged(username.parse().map_err(|_| RecordError::Field("username"))?)
            }
            TopicV1::PasswordChanged => Self::PasswordChanged,
            TopicV1::PasswordReset => Self::PasswordReset,
            TopicV1::AccessKeyCreated(id) => Self::AccessKeyCreated(id),
            TopicV1::AwaitingApproval(id) => Self::AwaitingApproval(id),
            TopicV1::Approved => Self::Approved,
            TopicV1::Declined => Self::Declined,
            TopicV1::Invitation(id) => Self::Invitation(id),
            TopicV1::AccountAdded => Self::AccountAdded,
            TopicV1::AccountAddedBy(maker) => Self::AccountAddedBy(maker),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::assert_version_1_stays;

    /// A row as version 1 was first written; see `account.rs`.
    const FROZEN: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","to":"Ann@example.com",
        "topic":{"email-changed":"Bob@example.com"},"language":"ko","at":"2026-01-02T03:04:05Z",
        "address":"192.0.2.1","by_administrator":false,"attempts":2,
        "state":{"due":"2026-01-02T03:05:05Z"},"reason":"421 later"}"#;

    const FROZEN_POSTAGE: &str =
        r#"{"mails":[["01890a5d-ac96-774b-bcce-b302099a8057","2026-01-02T03:04:05Z"]]}"#;

    #[test]
    fn version_1_is_read_and_written_as_ever() {
        assert_version_1_stays::<QueuedMail>(FROZEN, &[]);
        assert_version_1_stays::<MailQuota>(FROZEN_POSTAGE, &[]);
    }
}
