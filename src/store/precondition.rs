//! Preconditions of changes, checked within their transaction (S76, S77).

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::StoreError;
use crate::ids::AccountId;
use crate::model::{Account, AccountStatus, Administrators, Session, TokenDigest};

/// The state on which the right to make a change rests. A handle made by
/// [`Store::with_precondition`](super::Store::with_precondition) checks it in the transaction of each change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precondition {
    /// The acting account must exist and be active.
    pub account: AccountId,
    /// The session in which it acts must not have ended. `None`: not required.
    pub session: Option<TokenDigest>,
    /// The version of the password that was proved: it must still be the account's. `None`: not required.
    pub password_changed_at: Option<Timestamp>,
    /// If given, the password's version counts only where one of these groups administers, by the rule of the moment: what
    /// gives no administration outlasts the password with which it was made.
    pub password_counts_for: Option<BTreeSet<String>>,
    /// The account must administer, by the rule of the moment. `None`: not required.
    pub administrators: Option<Administrators>,
    /// Which decision of an administrator on the account's status must still be the last.
    pub last_decision: LastDecision,
}

/// The decision on an account's status that must still be the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastDecision {
    /// Whichever.
    Any,
    /// That of this time; `None`: none may have been made.
    At(Option<Timestamp>),
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
    /// The account was removed from the group.
    #[error("the account that acts has left the group that may")]
    NotMember,
}

impl Precondition {
    /// Returns whether an account that was loaded has the right, if no session is required. The transaction of the change
    /// checks it again.
    pub fn permits(&self, account: Option<&Account>) -> bool {
        self.check(account, None).is_ok()
    }

    /// Checks the precondition against the stored account and session.
    pub(super) fn check(
        &self,
        account: Option<&Account>,
        session: Option<&Session>,
    ) -> Result<(), StoreError> {
        let account = account
            .filter(|account| account.status == AccountStatus::Active)
            .ok_or(PreconditionError::AccountInactive)?;
        if self.session.is_some() && session.is_none_or(|session| session.account != self.account) {
            return Err(PreconditionError::SessionEnded.into());
        }
        let administered = self.administrators.as_ref().map(Administrators::group);
        let password_counts = match (&self.password_counts_for, administered) {
            (Some(groups), Some(administered)) => groups.contains(&administered),
            _ => true,
        };
        if password_counts
            && self
                .password_changed_at
                .is_some_and(|proved| proved != account.password_changed_at)
        {
            return Err(PreconditionError::PasswordChanged.into());
        }
        let decided_at = account.decision.as_ref().map(|decision| decision.at);
        if matches!(self.last_decision, LastDecision::At(last) if last != decided_at) {
            return Err(PreconditionError::AccountInactive.into());
        }
        match &self.administrators {
            Some(administrators) if !administrators.may_sign_in(account) => {
                Err(PreconditionError::AccountInactive.into())
            }
            Some(administrators) if !administrators.has_member(account) => {
                Err(PreconditionError::NotMember.into())
            }
            _ => Ok(()),
        }
    }

    /// The session that a change of this account's password leaves alive: the one in which its owner makes
    /// the change.
    pub(super) fn spared_session(precondition: Option<&Self>, account: AccountId) -> Option<TokenDigest> {
        precondition
            .filter(|precondition| precondition.account == account)
            .and_then(|precondition| precondition.session)
    }
}
