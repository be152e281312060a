//! E-mail tokens: the secret of a mailed or handed-over link, which does one thing for one account.

use std::time::Duration;

use jiff::Timestamp;

use super::{Email, Maker, TokenDigest};
use crate::clock;
use crate::ids::{AccountId, MailId};

/// What a link is for. A token serves one purpose only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Verifies the account's address.
    VerifyEmail,
    /// Sets a new password; requested by mail, so it verifies the address too.
    Reset,
    /// Sets a new password; made by an administrator. Separate from [`Purpose::Reset`], so that a request for
    /// a reset by mail does not void the administrator's link.
    ResetByAdministrator,
    /// Moves the account to the address that the link was mailed to.
    ChangeEmail,
}

impl Purpose {
    /// How long a link for it serves (S19).
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::VerifyEmail | Self::ChangeEmail => Duration::from_hours(24),
            Self::Reset | Self::ResetByAdministrator => Duration::from_hours(1),
        }
    }
}

/// A token as the store keeps it. Void once the account has a newer one for its purpose, has another
/// password, or has left the address that the token was made for (S19).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailToken {
    /// The digest of the token.
    pub digest: TokenDigest,
    /// The purpose.
    pub purpose: Purpose,
    /// The account.
    pub account: AccountId,
    /// The address that it was mailed to: the account's own, or with [`Purpose::ChangeEmail`] the one it
    /// moves to.
    pub email: Email,
    /// The mail that carries it; `None` if an administrator handed it over.
    pub mail: Option<MailId>,
    /// The administrator who handed it over, who must still be one when it is used (S76). `None` if it was mailed, or
    /// made on the gateway's machine.
    pub maker: Option<Maker>,
    /// When it expires, exclusive.
    pub expires_at: Timestamp,
}

impl EmailToken {
    /// Returns whether the token works at `now`: not expired, and not made in the future by a clock that was
    /// ahead.
    pub fn is_timely(&self, now: Timestamp) -> bool {
        now < self.expires_at && !self.is_ahead(now)
    }

    /// Returns whether the token was made in the future, by a clock that was ahead.
    pub fn is_ahead(&self, now: Timestamp) -> bool {
        let latest = now.checked_add(self.purpose.lifetime()).unwrap_or(Timestamp::MAX);
        clock::is_ahead(self.expires_at, latest)
    }
}
