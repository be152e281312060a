//! Operations on queued and failed mails.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::ids::{InvitationId, MailId};
use crate::model::{Email, EmailToken, Mail, QueuedMail, TokenDigest};

/// Queued and failed mails: a part of [`Store`](super::Store).
#[async_trait]
pub trait MailStore: Send + Sync + 'static {
    /// Enqueues mails, due at once.
    async fn enqueue_mails(&self, mails: Vec<Mail>) -> Result<(), StoreError>;

    /// Leases the mail that has been due longest, and counts an attempt. It is due again after `lease`: if
    /// its worker dies, it is sent nevertheless.
    async fn take_due_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<QueuedMail>, StoreError>;

    /// Records, in one transaction, that a leased mail is about to be sent, and saves its token. A mail
    /// counts once against the allowance, however often it is claimed.
    async fn claim_mail(&self, id: MailId, claim: MailClaim, now: Timestamp)
    -> Result<ClaimMail, StoreError>;

    /// Records the outcome of a leased mail, or makes a failed or waiting one due. Returns whether that
    /// changed the mail.
    async fn complete_mail(&self, id: MailId, outcome: MailOutcome) -> Result<bool, StoreError>;

    /// Up to `limit` queued or failed mails, in order of enqueueing, starting after `after`.
    async fn mails(&self, after: Option<MailId>, limit: usize) -> Result<MailBatch, StoreError>;

    /// Counts the waiting mails, leased ones included, up to `at_most`.
    async fn count_waiting_mails(&self, at_most: usize) -> Result<usize, StoreError>;
}

/// Mails that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailBatch {
    /// The mails, in the order they were enqueued.
    pub mails: Vec<QueuedMail>,
    /// Which of the batch cannot be read, and why: they stand in no other's way (S49).
    pub unreadable: Vec<(MailId, String)>,
    /// After what there may be more; none at the end.
    pub next: Option<MailId>,
}

/// What is recorded when a mail is claimed.
#[derive(Clone, Debug)]
pub struct MailClaim {
    /// The token in its link, if it has one.
    pub token: Option<ClaimToken>,
    /// The allowance of its receiver; `None`: unlimited.
    pub allowance: Option<MailAllowance>,
}

/// The token in a mail's link, made for this attempt to send it.
#[derive(Clone, Debug)]
pub enum ClaimToken {
    /// An e-mail token; replaces the account's earlier one for its purpose.
    Account(EmailToken),
    /// The new token of an invitation, in place of its current one.
    Invitation(InvitationId, TokenDigest),
}

/// A limit of mails to one address, for mails that requests without a sign-in can cause (S23).
#[derive(Clone, Debug)]
pub struct MailAllowance {
    /// The address.
    pub address: Email,
    /// The number of mails.
    pub mails: u32,
    /// The window in which they count.
    pub window: Duration,
}

/// The outcome of [`MailStore::claim_mail`]. Only a claimed mail may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimMail {
    /// The token is saved and the mail is counted.
    Claimed,
    /// The allowance of the receiver is used up.
    OverAllowance,
    /// A newer mail for this purpose was claimed already, so its link is the valid one.
    Superseded,
    /// The mail, or what its token is for, is gone.
    Gone,
}

/// The outcome of a mail, for [`MailStore::complete_mail`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailOutcome {
    /// The mail was sent, is obsolete or is not wanted: it is removed.
    Done,
    /// The mail is tried again.
    Postponed {
        /// From when.
        until: Timestamp,
        /// What went wrong.
        reason: String,
    },
    /// The mail failed for good: it is kept for administrators and not tried again.
    Failed {
        /// When.
        at: Timestamp,
        /// What went wrong.
        reason: String,
    },
    /// A failed mail, or one that waits for a later time, is due. A mail that is due by then stays as it is.
    Again {
        /// From when.
        at: Timestamp,
    },
}
