//! Mailed tokens.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::model::{Account, EmailToken, Mail, Purpose, TokenDigest};

/// Mailed tokens: a part of every [`Store`](super::Store).
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Keeps a mailed token in place of the account's earlier one for the same purpose.
    async fn save_token(&self, token: EmailToken) -> Result<(), StoreError>;

    /// The mailed token with this digest, expired or not; uses nothing up.
    async fn token(&self, digest: TokenDigest) -> Result<Option<EmailToken>, StoreError>;

    /// Uses up a token and does what it was for, in one step: of many callers one succeeds (S19). If it does, `mails`
    /// wait from then on.
    ///
    /// A token that is expired at `now`, or whose purpose is another than the effect's, is void and is not used up.
    async fn consume_token(
        &self,
        digest: TokenDigest,
        effect: TokenEffect,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<ConsumeToken, StoreError>;
}

/// What [`TokenStore::consume_token`] does; which purposes it serves follows from that.
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
    /// Whether the account's sessions end with it, and its lock.
    pub(super) fn sets_password(&self) -> bool {
        matches!(self, Self::SetPassword { .. })
    }

    /// Whether a token with this purpose does it.
    pub fn serves(&self, purpose: Purpose) -> bool {
        match self {
            Self::VerifyEmail => purpose == Purpose::VerifyEmail,
            Self::SetPassword { .. } => matches!(purpose, Purpose::Reset | Purpose::ResetByAdministrator),
            Self::ChangeEmail => purpose == Purpose::ChangeEmail,
        }
    }
}

/// What became of [`TokenStore::consume_token`].
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
