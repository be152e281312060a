//! Mails in the queue, from what caused them to what became of them.
//!
//! A queued mail has no text: text and token are made at the moment of sending. So no link is ever stored,
//! and the link of a mail that waited is as fresh as any.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{AccessKeyId, Email, Maker, Username};
use crate::ids::{AccountId, InvitationId, MailId};

/// A mail to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The id; mails are sent in the order of their ids.
    pub id: MailId,
    /// The receiver. If an account with this address is looked up, the mail goes to the address as that
    /// account spells it.
    pub to: Email,
    /// The kind.
    pub topic: MailKind,
    /// The language to write in (BCP 47), if the receiver's is not known.
    pub language: Option<String>,
    /// What caused it.
    pub cause: MailOrigin,
}

/// The kind of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// The verification link. Sent only if an account with the address exists and is not verified.
    VerifyEmail,
    /// Notice of a signup with an address that already has an account.
    AlreadyRegistered,
    /// The password reset link. Sent only if an account with the address exists.
    Reset,
    /// The link that moves an account to the address of this mail.
    ChangeEmail(AccountId),
    /// Notice that the account has moved to this other address; sent to the old one.
    EmailChanged(Email),
    /// Notice that the account has this new username.
    UsernameChanged(Username),
    /// Notice that the password was changed.
    PasswordChanged,
    /// Notice that the password was set with a link.
    PasswordReset,
    /// Notice that the account has this new access key.
    AccessKeyCreated(AccessKeyId),
    /// Notice to an administrator that this account waits for approval.
    AwaitingApproval(AccountId),
    /// Notice that an administrator approved the account.
    Approved,
    /// Notice that an administrator declined the account.
    Declined,
    /// The link of an invitation.
    Invitation(InvitationId),
    /// The link that sets the password of an account which the operator added.
    AccountAdded,
    /// The same of an account which this administrator added: the link rests on their right.
    AccountAddedBy(Maker),
}

impl MailKind {
    /// All names that [`as_str`](Self::as_str) returns.
    pub const NAMES: &[&str] = &[
        "verify-email",
        "already-registered",
        "reset",
        "change-email",
        "email-changed",
        "username-changed",
        "password-changed",
        "password-reset",
        "access-key-created",
        "awaiting-approval",
        "approved",
        "declined",
        "invitation",
        "account-added",
    ];

    /// Returns whether the mail may carry a link that sets the password of the account with its address.
    pub fn may_carry_reset(&self) -> bool {
        matches!(
            self,
            Self::Reset | Self::AlreadyRegistered | Self::AccountAdded | Self::AccountAddedBy(_)
        )
    }

    /// Returns the name that administrators see.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify-email",
            Self::AlreadyRegistered => "already-registered",
            Self::Reset => "reset",
            Self::ChangeEmail(_) => "change-email",
            Self::EmailChanged(_) => "email-changed",
            Self::UsernameChanged(_) => "username-changed",
            Self::PasswordChanged => "password-changed",
            Self::PasswordReset => "password-reset",
            Self::AccessKeyCreated(_) => "access-key-created",
            Self::AwaitingApproval(_) => "awaiting-approval",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Invitation(_) => "invitation",
            Self::AccountAdded | Self::AccountAddedBy(_) => "account-added",
        }
    }
}

/// The action that caused a mail, as the mail tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailOrigin {
    /// When it happened.
    pub at: Timestamp,
    /// The client's address; `None` if it was done on the gateway's machine.
    pub address: Option<IpAddr>,
    /// Whether an administrator did it.
    pub by_administrator: bool,
}

/// A mail as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMail {
    /// The mail.
    pub mail: Mail,
    /// The number of attempts to send it.
    pub attempts: u32,
    /// What happens to it next.
    pub state: MailState,
    /// The last response of the mail server, or the last error.
    pub reason: Option<String>,
}

/// The state of a mail that is not sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailState {
    /// The next attempt is due at this time. While a worker sends it, this is when its lease ends and another
    /// may try.
    Due(Timestamp),
    /// It failed for good at this time.
    Failed(Timestamp),
}
