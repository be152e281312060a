//! Which accounts may sign in: one rule for passwords, access keys and whatever else proves who somebody is (S17).

use crate::model::{Account, AccountStatus};

/// The rule, as the operator configured it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignInPolicy {
    /// `signup.verify_email`
    pub(super) verified_only: bool,
}

/// Why an account that proved itself may not sign in.
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
    /// Whether it may.
    pub(super) fn check(self, account: &Account) -> Result<(), Ineligible> {
        match account.status {
            AccountStatus::Disabled => Err(Ineligible::Disabled),
            _ if self.verified_only && !account.email_verified => Err(Ineligible::NotVerified),
            AccountStatus::AwaitingApproval | AccountStatus::Declined => Err(Ineligible::NotApproved),
            AccountStatus::Active => Ok(()),
        }
    }
}
