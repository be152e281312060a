//! What must still hold when a change is made (S76, S77).

use jiff::Timestamp;

use super::StoreError;
use crate::ids::AccountId;
use crate::model::{Account, AccountStatus, Session, TokenDigest};

/// The state on which the right to make a change rests. [`Store::with_precondition`](super::Store::with_precondition)
/// gives a handle that compares it with what is stored inside each changing operation: between the comparison and the
/// change nothing else happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precondition {
    /// The account that acts: exists and is active.
    pub account: AccountId,
    /// The session in which it acts: has not ended.
    pub session: TokenDigest,
    /// When the password was set that the act was proved with: that one still serves.
    pub password_changed_at: Option<Timestamp>,
    /// The group that may act: has the account as a member.
    pub group: Option<String>,
}

/// The part of a [`Precondition`] that no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreconditionError {
    /// The account was disabled or deleted.
    #[error("the account that acts is not active any more")]
    AccountInactive,
    /// The session was ended.
    #[error("the session of the account that acts has ended")]
    SessionEnded,
    /// The password was changed.
    #[error("the password was changed after it was asked for")]
    PasswordChanged,
    /// The account was taken out of the group.
    #[error("the account that acts has left the group that may")]
    NotMember,
}

impl Precondition {
    /// Compares it with the account and the session as they are stored now.
    pub(super) fn check(
        &self,
        account: Option<&Account>,
        session: Option<&Session>,
    ) -> Result<(), StoreError> {
        let account = account
            .filter(|account| account.status == AccountStatus::Active)
            .ok_or(PreconditionError::AccountInactive)?;
        if session.is_none_or(|session| session.account != self.account) {
            return Err(PreconditionError::SessionEnded.into());
        }
        if self
            .password_changed_at
            .is_some_and(|proved| proved != account.password_changed_at)
        {
            return Err(PreconditionError::PasswordChanged.into());
        }
        match &self.group {
            Some(group) if !account.is_in(group) => Err(PreconditionError::NotMember.into()),
            _ => Ok(()),
        }
    }

    /// The session that a change of this account's password leaves alive: the one in which its owner makes it.
    pub(super) fn spared_session(precondition: Option<&Self>, account: AccountId) -> Option<TokenDigest> {
        precondition
            .filter(|precondition| precondition.account == account)
            .map(|precondition| precondition.session)
    }
}
