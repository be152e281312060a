//! Who acts, why, and by what right.

use std::sync::Arc;

use jiff::Timestamp;

use super::ActiveSession;
use crate::store::{Precondition, Store};

/// The longest reason, in characters.
const REASON_LENGTH: usize = 500;

/// Whoever changes something. One that acts in a session acts by what the store says of it at that very moment: a
/// session that was ended, an account that was disabled or left the group, changes nothing (S76).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    name: Option<String>,
    reason: Option<String>,
    precondition: Option<Precondition>,
}

impl Actor {
    /// Whoever runs the gateway: a command or a signal. Their right is that of the process.
    pub fn operator(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            reason: None,
            precondition: None,
        }
    }

    /// An administrator in a session, while the session lasts and the account is a member of the group.
    pub fn administrator(session: &ActiveSession, group: &str) -> Self {
        Self {
            name: Some(session.principal().email.to_string()),
            reason: None,
            precondition: Some(Precondition {
                group: Some(group.to_owned()),
                ..Precondition::of(session, None)
            }),
        }
    }

    /// An account's owner in a session. `proved`: when the password was set that was asked for, if it was: the act is
    /// void once another one serves (S77).
    pub fn owner(session: &ActiveSession, proved: Option<Timestamp>) -> Self {
        Self {
            name: None,
            reason: None,
            precondition: Some(Precondition::of(session, proved)),
        }
    }

    /// The same with a reason; a blank one is none. It is kept on one line of at most 500 characters.
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

    /// What the record calls them; `None` for the account's owner.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether it is the account's owner who acts on their own account.
    pub(super) fn is_owner(&self) -> bool {
        self.name.is_none()
    }

    pub(super) fn precondition(&self) -> Option<&Precondition> {
        self.precondition.as_ref()
    }

    /// The store, whose changing operations fail once what the actor acts by does not hold any more.
    pub(super) fn act_on(&self, store: &Arc<dyn Store>) -> Arc<dyn Store> {
        match self.precondition() {
            Some(precondition) => store.with_precondition(precondition.clone()),
            None => store.clone(),
        }
    }

    /// Why they do it, in their words.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

impl Precondition {
    fn of(session: &ActiveSession, password_changed_at: Option<Timestamp>) -> Self {
        Self {
            account: session.account(),
            session: session.digest(),
            password_changed_at,
            group: None,
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
