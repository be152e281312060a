//! Transitions of an account's status.

use crate::model::AccountStatus;

/// An administrator's decision on a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::services) enum StatusChange {
    Approve,
    Decline,
    Disable,
    Enable,
}

impl StatusChange {
    /// Returns the status after the decision; `before` if it already holds; `None` for an invalid transition.
    ///
    /// Only an active account can be disabled, so that enabling never admits an account that was not
    /// approved.
    pub(in crate::services) fn on(self, before: AccountStatus) -> Option<AccountStatus> {
        match (self, before) {
            (
                Self::Approve,
                AccountStatus::AwaitingApproval | AccountStatus::Declined | AccountStatus::Active,
            )
            | (Self::Enable, AccountStatus::Disabled | AccountStatus::Active) => Some(AccountStatus::Active),
            (Self::Decline, AccountStatus::AwaitingApproval | AccountStatus::Declined) => {
                Some(AccountStatus::Declined)
            }
            (Self::Disable, AccountStatus::Active | AccountStatus::Disabled) => Some(AccountStatus::Disabled),
            _ => None,
        }
    }

    /// Returns whether the account may sign in afterwards.
    pub(super) fn lets_in(self) -> bool {
        matches!(self, Self::Approve | Self::Enable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s17_enabling_lets_in_only_whom_disabling_shut_out() {
        use AccountStatus::{Active, AwaitingApproval, Declined, Disabled};
        for (ruling, outcomes) in [
            (
                StatusChange::Approve,
                [Some(Active), Some(Active), Some(Active), None],
            ),
            (
                StatusChange::Decline,
                [None, Some(Declined), Some(Declined), None],
            ),
            (
                StatusChange::Disable,
                [Some(Disabled), None, None, Some(Disabled)],
            ),
            (StatusChange::Enable, [Some(Active), None, None, Some(Active)]),
        ] {
            let seen = [Active, AwaitingApproval, Declined, Disabled].map(|before| ruling.on(before));
            assert_eq!(seen, outcomes, "{ruling:?}");
        }
    }
}
