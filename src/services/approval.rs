//! Account approval: notifies administrators and applies their decisions.

use std::sync::Arc;

use super::account_edit::EditError;
use super::accounts::StatusChange;
use super::{Actor, Mailer, Origin, SharedServices};
use crate::clock::Clock;
use crate::config::Config;
use crate::model::{Account, AccountStatus, Administrators, Decision, Mail, MailKind};
use crate::store::{Store, StoreError, UnreadableRow};

/// Applies decisions on accounts and writes the mails about them.
#[derive(Clone, Debug)]
pub(super) struct Approval {
    store: Arc<dyn Store>,
    mailer: Arc<Mailer>,
    clock: Clock,
    /// `signup.verify_email`
    verify_email: bool,
    administrators: Administrators,
}

impl Approval {
    pub(super) fn new(shared: &SharedServices, config: &Config) -> Self {
        Self {
            store: shared.store.clone(),
            mailer: shared.mailer.clone(),
            clock: shared.clock.clone(),
            verify_email: config.signup.verify_email,
            administrators: shared.administrators.clone(),
        }
    }

    /// Returns the mails that tell the active administrators of an account that lacks only their approval;
    /// none for other accounts, or while such mails are throttled.
    ///
    /// Callers enqueue them in the transaction that creates the account or verifies its address.
    pub(super) async fn requests(&self, account: &Account, origin: &Origin) -> Result<Vec<Mail>, StoreError> {
        if !self.awaits_only_approval(account) {
            return Ok(Vec::new());
        }
        let administrators = self.store.group_members(&self.administrators.group()).await?;
        for UnreadableRow { error, .. } in &administrators.unreadable {
            tracing::error!(%error, "an administrator is not told of who waits for approval");
        }
        let mut active = administrators
            .sound
            .iter()
            .filter(|administrator| administrator.status == AccountStatus::Active)
            .peekable();
        if active.peek().is_none() || !self.mailer.may_announce() {
            return Ok(Vec::new());
        }
        let topic = MailKind::AwaitingApproval(account.id);
        Ok(active
            .map(|administrator| Mail {
                language: administrator.language.clone(),
                ..self.mailer.mail(&administrator.email, topic.clone(), origin)
            })
            .collect())
    }

    /// Returns whether the account lacks only an administrator's decision.
    pub(super) fn awaits_only_approval(&self, account: &Account) -> bool {
        account.status == AccountStatus::AwaitingApproval && !self.awaits_proof(account)
    }

    /// Returns whether the owner has to verify the address first.
    pub(super) fn awaits_proof(&self, account: &Account) -> bool {
        self.verify_email && !account.email_verified
    }

    /// A decision by this actor, as of now.
    pub(super) fn decision(&self, by: &Actor) -> Decision {
        Decision {
            by: by.name().unwrap_or_default().to_owned(),
            at: self.clock.now(),
            reason: by.reason().map(str::to_owned),
        }
    }

    /// Applies a decision to an account and returns the mails to its owner: none to an address that is
    /// unverified where it must be verified. Idempotent: a status that already holds is left as it is.
    pub(super) fn decide(
        &self,
        change: StatusChange,
        account: &mut Account,
        by: &Actor,
        origin: &Origin,
    ) -> Result<Vec<Mail>, EditError> {
        let before = account.status;
        account.status = change.on(before).ok_or(EditError::Status(before))?;
        if account.status == before {
            return Ok(Vec::new());
        }
        account.decision = Some(self.decision(by));
        let topic = match (before, account.status) {
            (AccountStatus::AwaitingApproval | AccountStatus::Declined, AccountStatus::Active) => {
                MailKind::Approved
            }
            (AccountStatus::AwaitingApproval, AccountStatus::Declined) => MailKind::Declined,
            _ => return Ok(Vec::new()),
        };
        if self.awaits_proof(account) {
            return Ok(Vec::new());
        }
        Ok(vec![Mail {
            language: account.language.clone(),
            ..self.mailer.mail_by_administrator(&account.email, topic, origin)
        }])
    }
}

#[cfg(test)]
mod tests;
