//! The terms: whether somebody has agreed to them as they are now.

use crate::clock::Clock;
use crate::config::SignupConfig;
use crate::model::{Account, Agreement};

/// The terms that are in force.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// Whether there are any: `signup.terms_url` or `signup.privacy_url`.
    exist: bool,
    /// `signup.terms_version`
    version: String,
    clock: Clock,
}

impl Terms {
    pub(super) fn new(config: &SignupConfig, clock: Clock) -> Self {
        Self {
            exist: !config.terms_url.is_empty() || !config.privacy_url.is_empty(),
            version: config.terms_version.clone(),
            clock,
        }
    }

    /// Whether there are any.
    pub(super) fn exist(&self) -> bool {
        self.exist
    }

    /// Whether an account has to agree before it signs in: to a version that it has not agreed to last.
    pub(super) fn are_outstanding(&self, account: &Account) -> bool {
        let last = account.agreements.last();
        self.exist
            && !self.version.is_empty()
            && last.is_none_or(|agreement| agreement.version != self.version)
    }

    /// What is kept of an agreement to them that is made now, if there are any.
    pub(super) fn agreement(&self) -> Option<Agreement> {
        self.exist.then(|| Agreement {
            version: self.version.clone(),
            at: self.clock.now(),
        })
    }
}
