//! Queued and failed mails as JSON. Links are created at delivery, so no mail has one here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::MailId;
use crate::model::{Email, MailState, QueuedMail};
use crate::services::MailPage;

/// A queued or failed mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailView {
    /// Its id.
    pub id: MailId,
    /// The recipient.
    pub to: Email,
    /// The kind of mail.
    pub topic: String,
    /// When it was caused.
    pub created_at: Timestamp,
    /// The number of attempts to send it.
    pub attempt_count: u32,
    /// Whether it failed permanently.
    pub failed: bool,
    /// The next attempt, or the time of the failure.
    pub at: Timestamp,
    /// The last response of the mail server.
    pub reason: Option<String>,
}

impl From<QueuedMail> for MailView {
    fn from(queued: QueuedMail) -> Self {
        let (failed, at) = match queued.state {
            MailState::Due(at) => (false, at),
            MailState::Failed(at) => (true, at),
        };
        Self {
            id: queued.mail.id,
            to: queued.mail.to,
            topic: queued.mail.topic.as_str().to_owned(),
            created_at: queued.mail.cause.at,
            attempt_count: queued.attempts,
            failed,
            at,
            reason: queued.reason,
        }
    }
}

/// A page of mails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailList {
    /// In the order of the queue.
    pub mails: Vec<MailView>,
    /// Which could not be read, and why: they stand in no other's way.
    pub unreadable: Vec<String>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<MailId>,
}

impl From<MailPage> for MailList {
    fn from(page: MailPage) -> Self {
        Self {
            mails: page.mails.into_iter().map(MailView::from).collect(),
            unreadable: page.unreadable,
            next: page.next,
        }
    }
}

/// The result of sending mails again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResentMails {
    /// Their number.
    pub again_count: usize,
}
