//! Decisions that every store makes alike, as pure functions of what is stored.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock;
use crate::ids::MailId;
use crate::model::{
    Account, AccountStatus, Email, EmailToken, Invitation, InvitationKind, Mail, MailState, Purpose,
    QueuedMail,
};

/// Whether a mail may take a token along that moves `account` or lets somebody into it. One that waited while the account
/// got another address is void, and so is one that would move the account where its owner no longer wants it. Those that
/// waited for another password are not there any more: see [`withdrawn_with`].
pub(super) fn may_carry(mail: &Mail, token: &EmailToken, account: &Account) -> bool {
    match (token.purpose, &account.pending_email) {
        (Purpose::ChangeEmail, pending) => pending.as_ref().is_some_and(|pending| pending.mail == mail.id),
        _ => account.email == token.email,
    }
}

/// The address with whose account a mail is withdrawn, when that gets another password, or another address: the mail would
/// take a link along that sets a password, and was asked for before (S77). The change and the withdrawal are one step, so
/// no clock tells which came first.
pub(super) fn withdrawn_with(mail: &Mail) -> Option<&Email> {
    mail.topic.may_carry_reset().then_some(&mail.to)
}

/// The longest that a mail is put off that a mail server refused for now.
const LONGEST_DELAY: Duration = Duration::from_hours(24);

/// Whether a mail waits for a moment that a clock told of which was ahead.
pub(super) fn waits_for_the_future(queued: &QueuedMail, now: Timestamp) -> bool {
    let delay = if queued.attempts == 0 {
        Duration::ZERO
    } else {
        LONGEST_DELAY
    };
    let latest = now.checked_add(delay).unwrap_or(Timestamp::MAX);
    matches!(queued.state, MailState::Due(due) if clock::is_ahead(due, latest))
}

/// Whether the token of an account's earlier mail stands in the way of another mail's, which was made before. One that was
/// made in the future, by a clock that was ahead, does not.
pub(super) fn supersedes(current: &EmailToken, mail: MailId, now: Timestamp) -> bool {
    current.mail > Some(mail) && !current.is_ahead(now)
}

/// Whether a use is noted in place of the one that is known: never an earlier one, unless that was noted by a clock that
/// was ahead.
pub(super) fn is_later_use(used: Timestamp, known: Timestamp) -> bool {
    known < used || clock::is_ahead(known, used)
}

/// Takes a pending change of the address back where the account gets another password, or an address.
pub(super) fn void_pending_email(current: &Account, changed: &mut Account) {
    if voids_tokens(current, changed) {
        changed.pending_email = None;
    }
}

/// Whether a change of an account voids its mailed tokens.
pub(super) fn voids_tokens(current: &Account, changed: &Account) -> bool {
    changed.password_changed_at != current.password_changed_at || changed.email != current.email
}

/// Whether a token serves at `now`, as far as it does not depend on others' accounts. Nobody who may not sign in moves
/// an account to another address.
pub(super) fn serves_account(token: &EmailToken, account: &Account, now: Timestamp) -> bool {
    now < token.expires_at
        && (token.purpose != Purpose::ChangeEmail || account.status == AccountStatus::Active)
}

/// Whether an invitation is good for an account with this address, as far as it does not depend on other accounts.
pub(super) fn serves_address(invitation: &Invitation, email: &Email, now: Timestamp) -> bool {
    now < invitation.expires_at && invitation.email.as_ref().is_none_or(|bound| bound == email)
}

/// A group that somebody has to stay in who may sign in, such as the administrators'.
#[derive(Clone, Debug)]
pub(super) struct GuardedGroup {
    pub(super) group: String,
    /// Whether nobody may sign in whose address is not verified.
    pub(super) verified_only: bool,
}

impl GuardedGroup {
    /// Whether an account is in the group and may sign in.
    pub(super) fn is_active_member(&self, account: &Account) -> bool {
        account.status == AccountStatus::Active
            && (account.email_verified || !self.verified_only)
            && account.is_in(&self.group)
    }
}

/// The groups that must have no active member for an invitation to serve: the first administrator is made as long as
/// there is none.
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
