//! A token that was mailed, or that an administrator handed over: a link that does one thing for one account.

use std::time::Duration;

use jiff::Timestamp;

use super::{Email, TokenDigest};
use crate::clock;
use crate::ids::{AccountId, MailId};

/// What a mailed link is for. A token serves one purpose and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Proves that the address is theirs.
    VerifyEmail,
    /// Sets a new password; asked for by mail, which proves the address too.
    Reset,
    /// Sets a new password; made by an administrator. Apart from [`Purpose::Reset`], so that whoever asks for a reset
    /// by mail does not void what an administrator handed over.
    ResetByAdministrator,
    /// Moves the account to the address that the link was mailed to.
    ChangeEmail,
}

impl Purpose {
    /// The longest that a link for it works (S19).
    fn longest(self) -> Duration {
        match self {
            Self::VerifyEmail | Self::ChangeEmail => Duration::from_hours(24),
            Self::Reset | Self::ResetByAdministrator => Duration::from_hours(1),
        }
    }
}

/// A token as the store keeps it. It is void when an account's newer one for the same purpose is kept, when the account's
/// password changes, and when the account leaves the address that it was made for (S19).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailToken {
    /// What the store knows of it.
    pub digest: TokenDigest,
    /// What it is for.
    pub purpose: Purpose,
    /// Whose it is.
    pub account: AccountId,
    /// The address that it was mailed to: the account's own, or with [`Purpose::ChangeEmail`] the one it moves to.
    pub email: Email,
    /// The mail that carries it; none if an administrator has it.
    pub mail: Option<MailId>,
    /// From this moment it serves nobody.
    pub expires_at: Timestamp,
}

impl EmailToken {
    /// Whether it works at `now`: it is not over, and was not made in the future, by a clock that was ahead.
    pub fn is_timely(&self, now: Timestamp) -> bool {
        now < self.expires_at && !self.is_ahead(now)
    }

    /// Whether it was made in the future, by a clock that was ahead.
    pub fn is_ahead(&self, now: Timestamp) -> bool {
        let latest = now.checked_add(self.purpose.longest()).unwrap_or(Timestamp::MAX);
        clock::is_ahead(self.expires_at, latest)
    }
}
