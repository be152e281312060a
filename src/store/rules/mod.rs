//! Decisions that all stores share, as pure functions of the stored records.

mod account_transition;
pub(super) mod import;
pub(super) mod mails;

use jiff::Timestamp;

pub(super) use account_transition::AccountTransition;

use crate::clock;
use crate::model::{Account, AccountStatus, Email, EmailToken, Invitation, InvitationKind, Purpose};

/// Returns whether a use replaces the known one: if it is later, or if the known one was recorded by a clock
/// that was ahead.
pub(super) fn is_later_use(used: Timestamp, known: Timestamp) -> bool {
    known < used || clock::is_ahead(known, used)
}

/// Returns whether a token is valid for its account at `now`. An account that may not sign in cannot change
/// its address.
fn serves_account(token: &EmailToken, account: &Account, now: Timestamp) -> bool {
    now < token.expires_at
        && (token.purpose != Purpose::ChangeEmail || account.status == AccountStatus::Active)
}

/// Drops former usernames from a new account, which cannot have any.
pub(super) fn new_account(account: &Account) -> Account {
    Account {
        former_usernames: Vec::new(),
        ..account.clone()
    }
}

/// Returns whether an invitation is valid for this address at `now`.
pub(super) fn serves_address(invitation: &Invitation, email: &Email, now: Timestamp) -> bool {
    now < invitation.expires_at && invitation.email.as_ref().is_none_or(|bound| bound == email)
}

/// A group that must keep an active member, such as the administrators.
#[derive(Clone, Debug)]
pub(super) struct GuardedGroup {
    pub(super) group: String,
    /// Whether only accounts with a verified address count as active.
    pub(super) verified_only: bool,
}

impl GuardedGroup {
    /// Returns whether an account is in the group and may sign in.
    pub(super) fn is_active_member(&self, account: &Account) -> bool {
        account.status == AccountStatus::Active
            && (account.email_verified || !self.verified_only)
            && account.is_in(&self.group)
    }
}

/// The groups that must have no active member for the invitation to be valid: those of a first administrator.
pub(super) fn groups_to_be_empty(invitation: &Invitation, verified_only: bool) -> Vec<GuardedGroup> {
    if invitation.kind != InvitationKind::FirstAdministrator {
        return Vec::new();
    }
    let guarded = |group: &String| GuardedGroup {
        group: group.clone(),
        verified_only,
    };
    invitation.groups.iter().map(guarded).collect()
}

#[cfg(test)]
mod samples {
    use std::collections::BTreeSet;

    use jiff::Timestamp;

    use crate::ids::{AccountId, MailId};
    use crate::model::{Account, AccountStatus, PendingEmail};
    use crate::random::Random;

    /// An administrator with a former username and a pending change of address.
    pub(super) fn ann() -> Account {
        let now = Timestamp::UNIX_EPOCH;
        Account {
            id: AccountId::new(now, &Random::seeded(1)),
            username: "ann".parse().unwrap(),
            former_usernames: vec!["anna".parse().unwrap()],
            email: "ann@example.com".parse().unwrap(),
            email_verified: false,
            pending_email: Some(PendingEmail {
                email: "new@example.com".parse().unwrap(),
                since: now,
                mail: MailId::new(now, &Random::seeded(2)),
            }),
            name: None,
            groups: BTreeSet::from(["admins".to_owned()]),
            password_hash: "old".to_owned(),
            status: AccountStatus::Active,
            decision: None,
            created_at: now,
            password_changed_at: now,
            agreements: Vec::new(),
            language: None,
        }
    }
}
