//! Approval: who is told that somebody waits, and what was decided.

use super::account_edit::EditError;
use super::accounts::Ruling;
use super::{Actor, Kept, Lasting, Origin};
use crate::clock::Clock;
use crate::config::Config;
use crate::ids::MailId;
use crate::model::{Account, Cause, Decision, Email, Mail, Standing, Topic};
use crate::random::Random;
use crate::store::StoreError;

/// If so many wait, administrators know: whoever makes many accounts does not fill their mailboxes (S23).
const ANNOUNCED: usize = 20;

/// The part of signing up in which somebody else decides.
#[derive(Clone, Debug)]
pub(super) struct Approval {
    store: Kept,
    clock: Clock,
    random: Random,
    /// `signup.verify_email`
    verify_email: bool,
    /// `admin.group`
    administrators: String,
}

impl Approval {
    pub(super) fn under(lasting: &Lasting, config: &Config) -> Self {
        Self {
            store: lasting.store.clone(),
            clock: lasting.clock.clone(),
            random: lasting.random.clone(),
            verify_email: config.signup.verify_email,
            administrators: config.admin.group.clone(),
        }
    }

    /// What tells the administrators that an account waits for them and for nothing else; nothing if it does not.
    ///
    /// Whoever makes an account, and whoever proves its address afterwards, lets these wait in the same step.
    pub(super) async fn requests(&self, account: &Account, origin: &Origin) -> Result<Vec<Mail>, StoreError> {
        let waits_for_proof = self.verify_email && !account.email_verified;
        if account.standing != Standing::AwaitingApproval || waits_for_proof {
            return Ok(Vec::new());
        }
        let before = self.store.count_accounts(Standing::AwaitingApproval, ANNOUNCED);
        if before.await? >= ANNOUNCED {
            return Ok(Vec::new());
        }
        let administrators = self.store.group_members(&self.administrators).await?;
        Ok(administrators
            .iter()
            .filter(|administrator| administrator.standing == Standing::Active)
            .map(|administrator| Mail {
                language: administrator.language.clone(),
                ..self.mail(
                    &administrator.email,
                    Topic::AwaitingApproval(account.id),
                    origin,
                    false,
                )
            })
            .collect())
    }

    /// Has an account stand where an administrator decided, and says what to mail to its owner. Nothing is mailed to an address that is not
    /// proven where addresses must be; what already holds is left as it is.
    pub(super) fn decide(
        &self,
        ruling: Ruling,
        account: &mut Account,
        by: &Actor,
        origin: &Origin,
    ) -> Result<Vec<Mail>, EditError> {
        let before = account.standing;
        account.standing = ruling.on(before).ok_or(EditError::Standing(before))?;
        if account.standing == before {
            return Ok(Vec::new());
        }
        account.decision = Some(Decision {
            by: by.name().to_owned(),
            at: self.clock.now(),
            reason: by.reason().map(str::to_owned),
        });
        let topic = match (before, account.standing) {
            (Standing::AwaitingApproval | Standing::Declined, Standing::Active) => Topic::Approved,
            (Standing::AwaitingApproval, Standing::Declined) => Topic::Declined,
            _ => return Ok(Vec::new()),
        };
        if self.verify_email && !account.email_verified {
            return Ok(Vec::new());
        }
        Ok(vec![Mail {
            language: account.language.clone(),
            ..self.mail(&account.email, topic, origin, true)
        }])
    }

    fn mail(&self, to: &Email, topic: Topic, origin: &Origin, by_administrator: bool) -> Mail {
        let now = self.clock.now();
        Mail {
            id: MailId::new(now, &self.random),
            to: to.clone(),
            topic,
            language: None,
            cause: Cause {
                at: now,
                address: origin.address,
                by_administrator,
            },
        }
    }
}

#[cfg(test)]
mod tests;
