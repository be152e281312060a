//! The edit of an account that a change is, applied inside the store's transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{AccountPart, AccountVersion, MOST_GROUPS, StatusChange};
use crate::model::{Account, Email, Mail, MailKind};
use crate::services::account_edit::EditError;
use crate::services::approval::Approval;
use crate::services::{Actor, Mailer, Origin};

/// What a change does to the stored account.
pub(super) enum Edit {
    Status(StatusChange),
    Groups(BTreeSet<String>),
    Membership {
        add: BTreeSet<String>,
        remove: BTreeSet<String>,
    },
    Password(String, Timestamp),
    Name(Option<String>),
    Email(Email),
}

impl Edit {
    pub(super) fn keeps_sessions(&self) -> bool {
        match self {
            Self::Status(ruling) => ruling.lets_in(),
            Self::Groups(_) | Self::Membership { .. } | Self::Name(_) | Self::Email(_) => true,
            Self::Password(..) => false,
        }
    }
}

/// A change with all that applying it inside the transaction takes.
pub(super) struct PendingChange {
    pub(super) edit: Edit,
    /// The version that it was decided from, and the parts of it that must be unchanged.
    pub(super) seen: Option<(AccountVersion, &'static [AccountPart])>,
    pub(super) approval: Approval,
    pub(super) mailer: Arc<Mailer>,
    pub(super) by: Actor,
    pub(super) origin: Origin,
}

impl PendingChange {
    pub(super) fn disables(&self) -> bool {
        matches!(self.edit, Edit::Status(StatusChange::Disable))
    }

    /// Applies the change. One that already holds is no conflict, whatever version was seen.
    pub(super) fn apply(&self, account: &mut Account) -> Result<Vec<Mail>, EditError> {
        let before = account.clone();
        let mails = self.change(account);
        if let Some((seen, depends_on)) = &self.seen
            && !(mails.is_ok() && *account == before)
        {
            let parts = seen.differs(&before, depends_on);
            if !parts.is_empty() {
                return Err(EditError::Stale(parts, Box::new(before)));
            }
        }
        mails
    }

    pub(super) fn change(&self, account: &mut Account) -> Result<Vec<Mail>, EditError> {
        match &self.edit {
            Edit::Status(ruling) => {
                return self.approval.decide(*ruling, account, &self.by, &self.origin);
            }
            Edit::Groups(groups) => account.groups.clone_from(groups),
            Edit::Membership { add, remove } => {
                account.groups.retain(|group| !remove.contains(group));
                account.groups.extend(add.iter().cloned());
                if account.groups.len() > MOST_GROUPS {
                    return Err(EditError::TooManyGroups);
                }
            }
            Edit::Password(hash, at) => {
                account.password_hash.clone_from(hash);
                account.password_changed_at = *at;
                // No mail to an address that is unverified where it must be verified.
                if !self.approval.awaits_proof(account) {
                    return Ok(vec![self.mailer.mail_by_administrator(
                        &account.email,
                        MailKind::PasswordChanged,
                        &self.origin,
                    )]);
                }
            }
            Edit::Name(name) => account.name.clone_from(name),
            Edit::Email(email) => return Ok(self.move_to(account, email)),
        }
        Ok(Vec::new())
    }

    /// Moves the account to an address that it does not have, and returns the mail that tells the former one.
    fn move_to(&self, account: &mut Account, email: &Email) -> Vec<Mail> {
        if account.email.as_str() == email.as_str() {
            return Vec::new();
        }
        let former = std::mem::replace(&mut account.email, email.clone());
        let is_told = !self.approval.awaits_proof(account) && former.key() != email.key();
        // As that of an account which an administrator adds.
        account.email_verified = true;
        if !is_told {
            return Vec::new();
        }
        let topic = MailKind::EmailChanged(email.clone());
        vec![self.mailer.mail_by_administrator(&former, topic, &self.origin)]
    }
}
