//! Terms of service: their version, and who has to accept it.

use crate::clock::Clock;
use crate::config::SignupConfig;
use crate::model::{Account, Agreement};

/// The terms in force.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// Whether `signup.terms_url` or `signup.privacy_url` is set.
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

    /// Returns whether there are terms.
    pub(super) fn exist(&self) -> bool {
        self.exist
    }

    /// Returns whether an account has to accept the terms before it signs in: the version that it accepted
    /// last is another.
    pub(super) fn are_outstanding(&self, account: &Account) -> bool {
        let last = account.agreements.last();
        self.exist
            && !self.version.is_empty()
            && last.is_none_or(|agreement| agreement.version != self.version)
    }

    /// Returns an agreement to the current version, as of now; `None` without terms.
    pub(super) fn agreement(&self) -> Option<Agreement> {
        self.exist.then(|| Agreement {
            version: self.version.clone(),
            at: self.clock.now(),
        })
    }
}
