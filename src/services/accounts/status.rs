//! What an administrator can decide about an account's status, and when.

use crate::model::AccountStatus;

/// A decision about an account's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::services) enum StatusChange {
    Approve,
    Decline,
    Disable,
    Enable,
}

impl StatusChange {
    /// Where an account stands afterwards that stands at `before`: there already, if what was decided holds. `None` where there is nothing of
    /// the kind to decide.
    ///
    /// Only an account that was let in can be disabled, so that enabling it lets nobody in whom nobody approved.
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

    /// Whether it lets the account in.
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
