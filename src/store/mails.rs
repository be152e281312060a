//! Mails that wait, or failed.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::ids::{InvitationId, MailId};
use crate::model::{Email, EmailToken, Mail, QueuedMail, TokenDigest};

/// Mails that wait, or failed: a part of every [`Store`](super::Store).
#[async_trait]
pub trait MailStore: Send + Sync + 'static {
    /// Lets mails wait, due at once.
    async fn enqueue_mails(&self, mails: Vec<Mail>) -> Result<(), StoreError>;

    /// Takes the mail that has been due for the longest time, and counts an attempt. Nobody else takes it for `lease`:
    /// so whoever took it may come back to nothing, and it is sent all the same.
    async fn take_due_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<QueuedMail>, StoreError>;

    /// Puts on record, in one step, that a taken mail goes out and with which token. A mail that is stamped again,
    /// because an attempt failed, counts once.
    async fn claim_mail(&self, id: MailId, claim: MailClaim, now: Timestamp)
    -> Result<ClaimMail, StoreError>;

    /// Says what became of a taken mail, or has one that failed sent again. Whether it was still there.
    async fn complete_mail(&self, id: MailId, outcome: MailOutcome) -> Result<bool, StoreError>;

    /// Up to `limit` mails that wait or failed, in the order they were enqueued, from the one after `after`.
    async fn mails(&self, after: Option<MailId>, limit: usize) -> Result<MailBatch, StoreError>;

    /// How many mails wait, those that are being sent included; it counts no further than `at_most`.
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

/// What a mail takes along.
#[derive(Clone, Debug)]
pub struct MailClaim {
    /// The token in its link, if it has one.
    pub token: Option<ClaimToken>,
    /// How many mails its receiver may be sent; without a limit if none.
    pub allowance: Option<MailAllowance>,
}

/// A token in a mail's link, made for this attempt to send it.
#[derive(Clone, Debug)]
pub enum ClaimToken {
    /// A mailed token; it takes the place of the account's earlier one for the same purpose.
    Account(EmailToken),
    /// An invitation's new token, in place of the one that it had.
    Invitation(InvitationId, TokenDigest),
}

/// How many mails an address may be sent that anybody can cause (S23).
#[derive(Clone, Debug)]
pub struct MailAllowance {
    /// The address.
    pub address: Email,
    /// How many.
    pub mails: u32,
    /// Within which time.
    pub window: Duration,
}

/// What became of [`MailStore::claim_mail`]. Only a claimed mail may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimMail {
    /// Its token is good and it is counted.
    Claimed,
    /// The receiver was sent as many mails as they may be.
    OverAllowance,
    /// A newer mail for the same purpose was stamped already: its link is the good one.
    Superseded,
    /// The mail, or what its token is for, is not there any more.
    Gone,
}

/// What became of a mail, for [`MailStore::complete_mail`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailOutcome {
    /// It was sent, or nobody needs it any more: it goes.
    Done,
    /// It is tried again.
    Postponed {
        /// From when.
        until: Timestamp,
        /// What went wrong.
        reason: String,
    },
    /// It failed for good: it stays for administrators to see, and is not tried again.
    Failed {
        /// When.
        at: Timestamp,
        /// What went wrong.
        reason: String,
    },
    /// It failed for good, and is due once more. One that did not fail stays as it is.
    Again {
        /// From when.
        at: Timestamp,
    },
}
