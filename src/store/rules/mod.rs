//! Decisions that all stores share, as pure functions of the stored records.

mod account_transition;
pub(super) mod import;
pub(super) mod mails;

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

pub(super) use account_transition::AccountTransition;

use crate::clock;
use crate::model::{
    Account, AccountStatus, Administrators, Email, EmailToken, Invitation, InvitationKind, Purpose, Session,
    Username,
};
use crate::store::CreateAccount;

/// Returns whether a use replaces the known one: if it is later, or if the known one was recorded by a clock
/// that was ahead.
pub(super) fn is_later_use(used: Timestamp, known: Timestamp) -> bool {
    known < used || clock::is_ahead(known, used)
}

/// Notes on an account that its owner signs in with this session, never back in time. Whether it says something else now.
pub(super) fn note_sign_in(account: &mut Account, session: &Session) -> bool {
    let at = session.created_at;
    let is_later = account
        .last_sign_in_at
        .is_none_or(|known| is_later_use(at, known));
    if is_later {
        account.last_sign_in_at = Some(at);
    }
    is_later
}

/// Returns whether a token is valid for its account at `now`. An account that may not sign in cannot change its
/// address, and one that is shut out gets no new password. Every other token than of a change of address is for the
/// address that the account had when it was made.
fn serves_account(token: &EmailToken, account: &Account, now: Timestamp) -> bool {
    use AccountStatus::{Active, AwaitingApproval};
    let is_of_address = account.email == token.email;
    let serves = match token.purpose {
        Purpose::ChangeEmail => account.status == Active,
        Purpose::VerifyEmail => is_of_address,
        Purpose::Reset | Purpose::ResetByAdministrator => {
            is_of_address && matches!(account.status, Active | AwaitingApproval)
        }
    };
    serves && now < token.expires_at
}

/// Drops former usernames from a new account, which cannot have any.
pub(super) fn new_account(account: &Account) -> Account {
    Account {
        former_usernames: Vec::new(),
        ..account.clone()
    }
}

/// Addresses, by their keys, and usernames that new accounts cannot have.
#[derive(Debug, Default)]
pub(super) struct TakenNames {
    pub(super) addresses: HashSet<String>,
    pub(super) usernames: HashSet<String>,
}

impl TakenNames {
    pub(super) fn add_address(&mut self, email: &Email) {
        self.addresses.insert(email.key().to_owned());
    }

    pub(super) fn add_username(&mut self, username: &Username) {
        self.usernames.insert(username.as_str().to_owned());
    }

    /// What becomes of a new account; if it is made, its names are taken from then on.
    pub(super) fn take(&mut self, account: &Account) -> CreateAccount {
        if self.addresses.contains(account.email.key()) {
            CreateAccount::EmailTaken
        } else if self.usernames.contains(account.username.as_str()) {
            CreateAccount::UsernameTaken
        } else {
            self.add_address(&account.email);
            self.add_username(&account.username);
            CreateAccount::Created
        }
    }
}

/// Returns whether an invitation is valid for this address at `now`.
pub(super) fn serves_address(invitation: &Invitation, email: &Email, now: Timestamp) -> bool {
    now < invitation.expires_at && invitation.email.as_ref().is_none_or(|bound| bound == email)
}

/// The invitations that replace earlier ones, found by what they are bound to.
pub(super) struct Replacing<'i>(HashMap<&'i str, &'i Invitation>);

impl<'i> Replacing<'i> {
    pub(super) fn new(invitations: &'i [Invitation]) -> Self {
        let bound = invitations.iter();
        Self(
            bound
                .filter_map(|new| Some((new.email.as_ref()?.key(), new)))
                .collect(),
        )
    }

    /// Whether none of them is bound to an address, and so none replaces another.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them takes the place of this one.
    pub(super) fn replaces(&self, earlier: &Invitation) -> bool {
        let new = earlier.email.as_ref().and_then(|email| self.0.get(email.key()));
        new.is_some_and(|new| new.kind == earlier.kind && new.id != earlier.id)
    }
}

/// A group that must keep an active member, such as the administrators.
#[derive(Clone, Debug)]
pub(super) struct GuardedGroup {
    pub(super) group: String,
    /// Whether only accounts with a verified address count as active.
    pub(super) verified_only: bool,
}

impl From<&Administrators> for GuardedGroup {
    fn from(administrators: &Administrators) -> Self {
        Self {
            group: administrators.group(),
            verified_only: administrators.verified_only(),
        }
    }
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
            last_sign_in_at: None,
        }
    }
}
