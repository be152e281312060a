//! Mails that failed for good: an administrator may have them sent again.

use std::sync::Arc;

use super::{Actor, Audit, Event, Kept, Kind, Lasting, Mailer, Origin};
use crate::clock::Clock;
use crate::ids::MailId;
use crate::model::{AuditDetail, Fact, KeptMail, MailState};
use crate::store::{MailOutcome, StoreError};

/// Mails that are looked at to count those that failed: the oldest, as these are.
const COUNTED: usize = 1000;

/// The service.
#[derive(Debug)]
pub struct FailedMails {
    store: Kept,
    mailer: Arc<Mailer>,
    audit: Arc<Audit>,
    clock: Clock,
}

impl FailedMails {
    pub(super) fn under(lasting: &Lasting) -> Self {
        Self {
            store: lasting.store.clone(),
            mailer: lasting.mailer.clone(),
            audit: lasting.audit.clone(),
            clock: lasting.clock.clone(),
        }
    }

    /// How many there are, of the 1000 oldest mails that wait or failed.
    pub async fn count(&self) -> Result<usize, StoreError> {
        let mails = self.store.mails(None, COUNTED).await?;
        let failed = |kept: &&KeptMail| matches!(kept.state, MailState::Failed(_));
        Ok(mails.iter().filter(failed).count())
    }

    /// Has a mail sent again, with a link that is made then. Whether it had failed.
    pub async fn send_again(&self, id: MailId, by: &Actor, origin: &Origin) -> Result<bool, StoreError> {
        let Some(failed) = self.store.mail(id).await? else {
            return Ok(false);
        };
        let again = MailOutcome::Again { at: self.clock.now() };
        if !self.store.on_behalf_of(by).settle_mail(id, again).await? {
            return Ok(false);
        }
        self.mailer.announce();
        let event = Event::success(Kind::MailAgain, failed.mail.to.as_str()).by(by);
        self.audit
            .note(origin, &event.detail(AuditDetail::of(Fact::Mail, &id)));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::world::{EMAIL, World, client, tester};

    #[tokio::test]
    async fn one_that_failed_is_counted_until_it_is_sent_again_which_is_recorded_with_why() {
        let world = World::with_ann(|_| {}).await;
        let services = &world.services;
        services.mailed_links.forgot(EMAIL, &client()).await.unwrap();
        let id = world.store.mails(None, 1).await.unwrap()[0].mail.id;
        let by = tester().because("the mail server is back");
        let origin = client();
        let again = || services.failed_mails.send_again(id, &by, &origin);
        let count = || services.failed_mails.count();
        assert_eq!(count().await.unwrap(), 0, "it waits");
        assert!(!again().await.unwrap(), "it has not failed");
        let failed = MailOutcome::Failed {
            at: world.clock.now(),
            reason: "550".to_owned(),
        };
        world.store.settle_mail(id, failed).await.unwrap();
        assert_eq!(count().await.unwrap(), 1);
        assert!(again().await.unwrap());
        assert_eq!(count().await.unwrap(), 0);
        let event = world.events().await.remove(0);
        assert_eq!((event.event, event.who.as_str()), (Kind::MailAgain, EMAIL));
        assert_eq!(event.detail, Some(format!("mail {id}")));
        assert_eq!(event.why.as_deref(), Some("the mail server is back"));
    }
}
