//! Operations on e-mail tokens.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::model::{Account, EmailToken, Mail, Purpose, TokenDigest};

/// E-mail tokens: a part of [`Store`](super::Store).
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Saves a token, in place of the account's earlier one for its purpose.
    async fn save_token(&self, token: EmailToken) -> Result<(), StoreError>;

    /// The token with this digest, expired or not; does not use it up.
    async fn token(&self, digest: TokenDigest) -> Result<Option<EmailToken>, StoreError>;

    /// Uses up a token and applies its effect in one transaction, so that of concurrent callers one succeeds
    /// (S19). Enqueues `mails` if it does.
    ///
    /// A token that is expired at `now`, or made for another purpose than the effect's, is void and stays
    /// unused.
    async fn consume_token(
        &self,
        digest: TokenDigest,
        effect: TokenEffect,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<ConsumeToken, StoreError>;
}

/// The effect of [`TokenStore::consume_token`]; it determines which purposes may have it.
#[derive(Clone)]
pub enum TokenEffect {
    /// Verifies the address ([`Purpose::VerifyEmail`]).
    VerifyEmail,
    /// Sets a new password ([`Purpose::Reset`], [`Purpose::ResetByAdministrator`]). Ends the account's
    /// sessions, clears its failures and voids its other tokens. A mailed link also verifies the address.
    SetPassword {
        /// bcrypt in one of the contract's stored forms.
        password_hash: String,
        /// When it was set.
        at: Timestamp,
        /// Whether the account's agreements are removed, because another person may have made the account.
        disowns: bool,
    },
    /// Moves the account to the token's address, which is thereby verified ([`Purpose::ChangeEmail`]).
    ChangeEmail,
}

impl TokenEffect {
    /// Returns whether the account's sessions and lock end with the effect.
    pub(super) fn sets_password(&self) -> bool {
        matches!(self, Self::SetPassword { .. })
    }

    /// Returns whether a token with this purpose may have the effect.
    pub fn serves(&self, purpose: Purpose) -> bool {
        match self {
            Self::VerifyEmail => purpose == Purpose::VerifyEmail,
            Self::SetPassword { .. } => matches!(purpose, Purpose::Reset | Purpose::ResetByAdministrator),
            Self::ChangeEmail => purpose == Purpose::ChangeEmail,
        }
    }
}

/// The outcome of [`TokenStore::consume_token`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumeToken {
    /// The token is used up and its effect applied.
    Consumed {
        /// The account before the change.
        before: Box<Account>,
        /// The account after the change.
        after: Box<Account>,
    },
    /// The token is unknown, used, expired, superseded or for another purpose.
    Void,
    /// Another account has the address meanwhile; the token is not used up.
    EmailTaken,
}
