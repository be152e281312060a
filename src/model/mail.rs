//! A mail that waits to be sent.
//!
//! Not its text: that is written at the moment of sending, with a token that is made then. So no link is ever at
//! rest, and one that waited for the mail server is as fresh as any when it arrives.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{AccessKeyId, Email, Username};
use crate::ids::{AccountId, InvitationId, MailId};

/// A mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its name; mails are sent in the order of their names.
    pub id: MailId,
    /// To whom. Where an account with this address is looked for, the mail goes to the address as the account has it.
    pub to: Email,
    /// What it says.
    pub topic: MailKind,
    /// The language to write in (BCP 47), if the receiver's is not known.
    pub language: Option<String>,
    /// What brought it about.
    pub cause: MailOrigin,
}

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// The link that proves the address. For whoever has an account with it that is not verified; else nothing is sent.
    VerifyEmail,
    /// Somebody tried to make an account with an address that has one.
    AlreadyRegistered,
    /// The link that sets a new password. For whoever has an account with the address; else nothing is sent.
    Reset,
    /// The link that moves an account to the address of this mail.
    ChangeEmail(AccountId),
    /// The account has moved to another address; to the one it left.
    EmailChanged(Email),
    /// The account has another username; this one.
    UsernameChanged(Username),
    /// The password was changed.
    PasswordChanged,
    /// The password was set anew with a link.
    PasswordReset,
    /// The account has another access key; this one.
    AccessKeyCreated(AccessKeyId),
    /// Somebody waits for approval; to an administrator.
    AwaitingApproval(AccountId),
    /// An administrator let the account in.
    Approved,
    /// An administrator did not let the account in.
    Declined,
    /// Leave to make an account.
    Invitation(InvitationId),
}

impl MailKind {
    /// All that [`as_str`](Self::as_str) calls one.
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
    ];

    /// Whether it may have a link that sets a password and that whoever has the address was asked for.
    pub fn may_carry_reset(&self) -> bool {
        matches!(self, Self::Reset | Self::AlreadyRegistered)
    }

    /// What it is called where administrators look.
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
        }
    }
}

/// What brought a mail about: who did what it tells of, from where, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailOrigin {
    /// When.
    pub at: Timestamp,
    /// The client's address; none if it was done on the gateway's own machine.
    pub address: Option<IpAddr>,
    /// Whether an administrator did it.
    pub by_administrator: bool,
}

/// A mail as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMail {
    /// The mail.
    pub mail: Mail,
    /// How often it was tried to send it.
    pub attempts: u32,
    /// What becomes of it.
    pub state: MailState,
    /// What the mail server said last.
    pub reason: Option<String>,
}

/// What becomes of a mail that is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailState {
    /// It is tried at this time. While somebody tries, that is when another may, should the first one not come back.
    Due(Timestamp),
    /// It failed for good at this time.
    Failed(Timestamp),
}
