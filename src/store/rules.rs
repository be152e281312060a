//! Decisions that every store makes alike, as pure functions of what is stored.

use jiff::Timestamp;

use crate::model::{Account, Email, Invitation, InvitationKind, Mail, MailedToken, Purpose, Standing};

/// Whether a mail may still take a token along that moves `account` or lets somebody into it. One that waited while the
/// account got another address, or another password, is void: it was asked for by a proof that no longer counts (S77).
/// So is one that would move the account where its owner no longer wants it.
pub(super) fn may_carry(mail: &Mail, token: &MailedToken, account: &Account) -> bool {
    let is_stale = match token.purpose {
        Purpose::Reset | Purpose::ChangeEmail => mail.cause.at < account.password_changed_at,
        Purpose::VerifyEmail | Purpose::ResetByAdministrator => false,
    };
    let fits = match (token.purpose, &account.pending_email) {
        (Purpose::ChangeEmail, pending) => pending.as_ref().is_some_and(|pending| pending.mail == mail.id),
        _ => account.email == token.email,
    };
    !is_stale && fits
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
pub(super) fn serves_account(token: &MailedToken, account: &Account, now: Timestamp) -> bool {
    now < token.expires_at && (token.purpose != Purpose::ChangeEmail || account.standing == Standing::Active)
}

/// Whether an invitation is good for an account with this address, as far as it does not depend on other accounts.
pub(super) fn serves_address(invitation: &Invitation, email: &Email, now: Timestamp) -> bool {
    now < invitation.expires_at && invitation.email.as_ref().is_none_or(|bound| bound == email)
}

/// A group that somebody has to stay in who may sign in, such as the administrators'.
#[derive(Clone, Debug)]
pub(super) struct Guarded {
    pub(super) group: String,
    /// Whether nobody may sign in whose address is not verified.
    pub(super) verified_only: bool,
}

impl Guarded {
    /// Whether an account is in the group and may sign in.
    pub(super) fn is_active_member(&self, account: &Account) -> bool {
        account.standing == Standing::Active
            && (account.email_verified || !self.verified_only)
            && account.is_in(&self.group)
    }
}

/// The groups that must have no active member for an invitation to serve: the first administrator is made as long as
/// there is none.
pub(super) fn groups_to_be_empty(invitation: &Invitation, verified_only: bool) -> Vec<Guarded> {
    if invitation.kind != InvitationKind::FirstAdministrator {
        return Vec::new();
    }
    let guarded = |group: &String| Guarded {
        group: group.clone(),
        verified_only,
    };
    invitation.groups.iter().map(guarded).collect()
}
