//! Which accounts may sign in: one rule for every credential (S17).

use crate::model::{Account, AccountStatus};

/// The rule as configured.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignInPolicy {
    /// `signup.verify_email`
    pub(super) verified_only: bool,
}

/// Why an account may not sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ineligible {
    /// Its address is not verified.
    NotVerified,
    /// An administrator has not approved it, or declined.
    NotApproved,
    /// It is disabled.
    Disabled,
}

impl SignInPolicy {
    /// Returns an error unless the account may sign in.
    pub(super) fn check(self, account: &Account) -> Result<(), Ineligible> {
        match account.status {
            AccountStatus::Disabled => Err(Ineligible::Disabled),
            _ if self.verified_only && !account.email_verified => Err(Ineligible::NotVerified),
            AccountStatus::AwaitingApproval | AccountStatus::Declined => Err(Ineligible::NotApproved),
            AccountStatus::Active => Ok(()),
        }
    }
}
