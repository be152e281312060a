//! What is asked of, and answered by, the operations on mailed tokens and mails.

use std::time::Duration;

use jiff::Timestamp;

use crate::ids::InvitationId;
use crate::model::{Account, Email, EmailToken, Purpose, TokenDigest};

/// What [`Store::consume_token`](super::Store::consume_token) does; which purposes it serves follows from that.
#[derive(Clone)]
pub enum TokenEffect {
    /// The address is theirs ([`Purpose::VerifyEmail`]).
    VerifyEmail,
    /// A new password ([`Purpose::Reset`], [`Purpose::ResetByAdministrator`]). Ends the account's sessions, forgets its
    /// failures and voids its other tokens. A link that was mailed proves the address, too.
    SetPassword {
        /// bcrypt in one of the contract's stored forms.
        password_hash: String,
        /// When it was set.
        at: Timestamp,
        /// Whether what the account agreed to is forgotten: whoever made it may not have been its owner.
        disowns: bool,
    },
    /// The account moves to the token's address, which is thereby proven ([`Purpose::ChangeEmail`]).
    ChangeEmail,
}

impl TokenEffect {
    /// Whether a token with this purpose does it.
    pub fn serves(&self, purpose: Purpose) -> bool {
        match self {
            Self::VerifyEmail => purpose == Purpose::VerifyEmail,
            Self::SetPassword { .. } => matches!(purpose, Purpose::Reset | Purpose::ResetByAdministrator),
            Self::ChangeEmail => purpose == Purpose::ChangeEmail,
        }
    }
}

/// What became of [`Store::consume_token`](super::Store::consume_token).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumeToken {
    /// It is used up and its effect is there.
    Consumed {
        /// The account as it was.
        before: Box<Account>,
        /// The account as it is.
        after: Box<Account>,
    },
    /// It is unknown, used up, expired, superseded or for something else.
    Void,
    /// Another account has the address meanwhile; the token is not used up.
    EmailTaken,
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

/// What became of [`Store::claim_mail`](super::Store::claim_mail). Only a claimed mail may be sent.
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

/// What became of a mail, for [`Store::complete_mail`](super::Store::complete_mail).
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
