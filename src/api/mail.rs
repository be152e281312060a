//! Mails that wait to be sent, or failed for good. None has its link: that is made when it leaves.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::MailId;
use crate::model::{Email, MailState, QueuedMail};
use crate::services::MailPage;

/// A mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailView {
    /// Its id.
    pub id: MailId,
    /// To whom.
    pub to: Email,
    /// What it says.
    pub topic: String,
    /// How often it was tried to send it.
    pub attempt_count: u32,
    /// Whether it failed for good.
    pub failed: bool,
    /// When it is tried, or failed for good.
    pub at: Timestamp,
    /// What the mail server said last.
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
            attempt_count: queued.attempts,
            failed,
            at,
            reason: queued.reason,
        }
    }
}

/// Mails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailList {
    /// In the order they were enqueued.
    pub mails: Vec<MailView>,
    /// Which could not be read, and why: they stand in no other's way.
    pub unreadable: Vec<String>,
    /// After what there may be more; none at the end.
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

/// Mails that are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResentMails {
    /// How many.
    pub again_count: usize,
}
