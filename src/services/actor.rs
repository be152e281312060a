//! The actor of a change: name, reason and precondition.

use std::sync::Arc;

use jiff::Timestamp;

use super::ActiveSession;
use crate::ids::AccountId;
use crate::model::Administrators;
use crate::store::{LastDecision, Precondition, Store};

/// The longest reason, in characters.
const REASON_LENGTH: usize = 500;

/// Who changes something. The store checks the precondition of an actor in a session inside the transaction:
/// after its session ended, its account was disabled or left the group, it changes nothing (S76).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    name: Option<String>,
    reason: Option<String>,
    precondition: Option<Precondition>,
}

impl Actor {
    /// The operator, through a command or a signal; has the rights of the process.
    pub fn operator(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            reason: None,
            precondition: None,
        }
    }

    /// An administrator in a session; valid while the session is active and the account administers.
    pub(super) fn administrator(session: &ActiveSession, administrators: &Administrators) -> Self {
        Self {
            name: Some(session.principal().email.to_string()),
            reason: None,
            precondition: Some(Precondition {
                administrators: Some(administrators.clone()),
                ..Precondition::of(session, None)
            }),
        }
    }

    /// An account's owner in a session. `proved` is when the password that was checked had been set, if one
    /// was checked: the act is void once another password is set (S77).
    pub fn owner(session: &ActiveSession, proved: Option<Timestamp>) -> Self {
        Self {
            name: None,
            reason: None,
            precondition: Some(Precondition::of(session, proved)),
        }
    }

    /// Adds a reason: one line of at most 500 characters; none if blank.
    #[must_use]
    pub fn because(self, reason: &str) -> Self {
        let line: String = reason
            .trim()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(REASON_LENGTH)
            .collect();
        Self {
            reason: Some(line).filter(|line| !line.is_empty()),
            ..self
        }
    }

    /// The name in the audit log; `None` for the account's owner.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns whether an account's owner acts on their own account.
    pub(super) fn is_owner(&self) -> bool {
        self.name.is_none()
    }

    pub(super) fn precondition(&self) -> Option<&Precondition> {
        self.precondition.as_ref()
    }

    /// Returns a store whose changing operations fail once the actor's precondition no longer holds.
    pub(super) fn act_on(&self, store: &Arc<dyn Store>) -> Arc<dyn Store> {
        match self.precondition() {
            Some(precondition) => store.with_precondition(precondition.clone()),
            None => store.clone(),
        }
    }

    /// Returns the administrator's account; `None` for the operator and for owners.
    pub(super) fn administrator_account(&self) -> Option<AccountId> {
        let precondition = self.precondition.as_ref()?;
        precondition.administrators.as_ref().map(|_| precondition.account)
    }

    /// The reason.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

impl Precondition {
    fn of(session: &ActiveSession, password_changed_at: Option<Timestamp>) -> Self {
        Self {
            account: session.account(),
            session: Some(session.digest()),
            password_changed_at,
            password_counts_for: None,
            administrators: None,
            last_decision: LastDecision::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let reason = |text: &str| Actor::operator("root").because(text).reason().map(str::to_owned);
        assert_eq!(reason(" left\nthe team ").as_deref(), Some("left the team"));
        assert_eq!(reason(" \r\n"), None);
        assert_eq!(reason(&"é".repeat(600)).unwrap().chars().count(), 500);
    }
}
