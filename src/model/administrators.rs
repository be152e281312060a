//! Who administers the gateway, by the configuration that runs.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Account, AccountStatus};

/// The rule of who administers. All clones share it: a reload replaces it, also for an act that waits meanwhile.
#[derive(Clone, Debug)]
pub struct Administrators(Arc<ArcSwap<Rule>>);

/// The rule at a moment.
#[derive(Clone, Debug)]
pub struct CurrentRule(Arc<Rule>);

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    /// `admin.group`
    group: String,
    /// `signup.verify_email`
    verified_only: bool,
}

impl Administrators {
    /// The active members of `group`; with `verified_only`, those whose address is verified.
    pub fn new(group: &str, verified_only: bool) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Rule::new(group, verified_only))))
    }

    /// Replaces the rule, unless it stays the same.
    pub fn replace(&self, group: &str, verified_only: bool) {
        let rule = Rule::new(group, verified_only);
        if **self.0.load() != rule {
            self.0.store(Arc::new(rule));
        }
    }

    /// No rule: nobody administers.
    pub fn none() -> Self {
        Self::new("", false)
    }

    /// Returns the rule as it is now.
    pub fn current(&self) -> CurrentRule {
        CurrentRule(self.0.load_full())
    }

    /// Returns whether the rule was not replaced since.
    pub fn is_current(&self, rule: &CurrentRule) -> bool {
        Arc::ptr_eq(&self.0.load(), &rule.0)
    }

    /// Returns whether only accounts with a verified address may sign in.
    pub fn verified_only(&self) -> bool {
        self.0.load().verified_only
    }

    /// Returns the name of the group.
    pub fn group(&self) -> String {
        self.0.load().group.clone()
    }

    /// Returns whether the account is a member of the group, whether or not it may sign in.
    pub fn has_member(&self, account: &Account) -> bool {
        account.is_in(&self.0.load().group)
    }

    /// Returns whether the account may sign in.
    pub fn may_sign_in(&self, account: &Account) -> bool {
        account.status == AccountStatus::Active && (account.email_verified || !self.0.load().verified_only)
    }
}

impl Rule {
    fn new(group: &str, verified_only: bool) -> Self {
        Self {
            group: group.to_owned(),
            verified_only,
        }
    }
}

impl PartialEq for Administrators {
    fn eq(&self, other: &Self) -> bool {
        *self.0.load() == *other.0.load()
    }
}

impl Eq for Administrators {}
