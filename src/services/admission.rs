//! Which accounts may sign in: one rule for passwords, access keys and whatever else proves who somebody is (S17).

use crate::model::{Account, Standing};

/// The rule, as the operator configured it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission {
    /// `signup.verify_email`
    pub(super) verified_only: bool,
}

/// Why an account that proved itself may not sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShutOut {
    /// Its address is not verified.
    NotVerified,
    /// An administrator has not approved it, or declined.
    NotApproved,
    /// It is disabled.
    Disabled,
}

impl Admission {
    /// Whether it may.
    pub(super) fn judge(self, account: &Account) -> Result<(), ShutOut> {
        match account.standing {
            Standing::Disabled => Err(ShutOut::Disabled),
            _ if self.verified_only && !account.email_verified => Err(ShutOut::NotVerified),
            Standing::AwaitingApproval | Standing::Declined => Err(ShutOut::NotApproved),
            Standing::Active => Ok(()),
        }
    }
}
