//! Queued mails in an administrator's hands: counts those that failed, sends mails now, drops them.

use std::sync::Arc;

use super::{Actor, Audit, Event, Kind, Mailer, Origin, SharedServices};
use crate::clock::Clock;
use crate::ids::MailId;
use crate::model::{AuditDetail, DetailKey, MailState, QueuedMail};
use crate::store::{MailOutcome, Store, StoreError};

/// Mails read at a time, and the most, the oldest, that [`FailedMails::count`] looks at.
const COUNTED: usize = 1000;

/// Counts failed mails, sends failed and waiting ones now, and drops them.
#[derive(Debug)]
pub struct FailedMails {
    store: Arc<dyn Store>,
    mailer: Arc<Mailer>,
    audit: Arc<Audit>,
    clock: Clock,
}

impl FailedMails {
    pub(super) fn new(shared: &SharedServices) -> Self {
        Self {
            store: shared.store.clone(),
            mailer: shared.mailer.clone(),
            audit: shared.audit.clone(),
            clock: shared.clock.clone(),
        }
    }

    /// Counts the failed ones among the 1000 oldest mails in the queue.
    pub async fn count(&self) -> Result<usize, StoreError> {
        let mails = self.store.mails(None, COUNTED).await?.mails;
        let failed = |queued: &&QueuedMail| matches!(queued.state, MailState::Failed(_));
        Ok(mails.iter().filter(failed).count())
    }

    /// Sends a failed mail again, with a new link, or a waiting one now instead of later. Returns whether it
    /// failed or waited for another attempt: one that is gone, is being sent at this moment, or was never tried and
    /// goes out next, is left alone.
    pub async fn send_now(&self, id: MailId, by: &Actor, origin: &Origin) -> Result<bool, StoreError> {
        let Some(_held_back) = self.mailer.hold_back(id).await else {
            return Ok(false);
        };
        let Some(queued) = self.store.mail(id).await? else {
            return Ok(false);
        };
        let now = self.clock.now();
        if queued.attempts == 0 && matches!(queued.state, MailState::Due(due) if due <= now) {
            return Ok(false);
        }
        // One that is due already waits for the mail server, which is tried at once.
        if !self.send_once_more(&queued, by, origin).await? {
            self.note(Kind::MailAgain, &queued, by, origin);
        }
        self.mailer.urge();
        Ok(true)
    }

    /// Removes a failed or waiting mail, which is never sent then. Returns whether there was one that was not
    /// being sent at this moment.
    pub async fn drop_mail(&self, id: MailId, by: &Actor, origin: &Origin) -> Result<bool, StoreError> {
        let Some(_held_back) = self.mailer.hold_back(id).await else {
            return Ok(false);
        };
        let Some(queued) = self.store.mail(id).await? else {
            return Ok(false);
        };
        let dropped = by
            .act_on(&self.store)
            .complete_mail(id, MailOutcome::Done)
            .await?;
        if dropped {
            self.note(Kind::MailDrop, &queued, by, origin);
        }
        Ok(dropped)
    }

    /// Queues all failed mails again that `wanted` accepts, and returns their number.
    pub async fn send_all_again(
        &self,
        wanted: impl Fn(&QueuedMail) -> bool + Send + Sync,
        by: &Actor,
        origin: &Origin,
    ) -> Result<usize, StoreError> {
        let (mut again, mut after) = (0, None);
        loop {
            let batch = self.store.mails(after, COUNTED).await?;
            after = batch.next;
            for kept in batch.mails.iter().filter(|queued| wanted(queued)) {
                let is_failed = matches!(kept.state, MailState::Failed(_));
                if is_failed && self.send_once_more(kept, by, origin).await? {
                    again += 1;
                }
            }
            if after.is_none() {
                return Ok(again);
            }
        }
    }

    async fn send_once_more(
        &self,
        failed: &QueuedMail,
        by: &Actor,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        let again = MailOutcome::Again { at: self.clock.now() };
        let store = by.act_on(&self.store);
        if !store.complete_mail(failed.mail.id, again).await? {
            return Ok(false);
        }
        self.mailer.announce();
        self.note(Kind::MailAgain, failed, by, origin);
        Ok(true)
    }

    fn note(&self, kind: Kind, queued: &QueuedMail, by: &Actor, origin: &Origin) {
        let event = Event::success(kind, queued.mail.to.as_str()).by(by);
        let detail = AuditDetail::of(DetailKey::Mail, &queued.mail.id);
        self.audit.note(origin, &event.detail(detail));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::services::MailFilter;
    use crate::services::test_support::{EMAIL, TestEnv, client, tester};

    #[tokio::test]
    async fn one_that_failed_is_counted_until_it_is_sent_again_which_is_recorded_with_why() {
        let world = TestEnv::with_ann(|_| {}).await;
        let services = &world.services;
        services.email_tokens.forgot(EMAIL, &client()).await.unwrap();
        let id = world.store.mails(None, 1).await.unwrap().mails[0].mail.id;
        let by = tester().because("the mail server is back");
        let origin = client();
        let again = || services.failed_mails.send_now(id, &by, &origin);
        let count = || services.failed_mails.count();
        assert_eq!(count().await.unwrap(), 0, "it waits");
        assert!(!again().await.unwrap(), "it has not failed");
        let failed = MailOutcome::Failed {
            at: world.clock.now(),
            reason: "550".to_owned(),
        };
        world.store.complete_mail(id, failed).await.unwrap();
        assert_eq!(count().await.unwrap(), 1);
        assert!(again().await.unwrap());
        assert_eq!(count().await.unwrap(), 0);
        let event = world.events().await.remove(0);
        assert_eq!((event.event, event.who.as_str()), (Kind::MailAgain, EMAIL));
        assert_eq!(event.detail, Some(format!("mail {id}")));
        assert_eq!(event.why.as_deref(), Some("the mail server is back"));
    }

    #[tokio::test]
    async fn one_that_waits_is_sent_now_or_dropped_unless_it_is_on_its_way() {
        let world = TestEnv::with_ann(|_| {}).await;
        let services = &world.services;
        services.email_tokens.forgot(EMAIL, &client()).await.unwrap();
        let id = world.store.mails(None, 1).await.unwrap().mails[0].mail.id;
        let (by, origin) = (tester(), client());
        let late = MailOutcome::Postponed {
            until: world.clock.now() + Duration::from_hours(8),
            reason: "450".to_owned(),
        };
        world.store.complete_mail(id, late).await.unwrap();
        let state = async || world.store.mail(id).await.unwrap().map(|queued| queued.state);
        *services.mailer.in_delivery.lock().await = Some(id);
        assert!(!services.failed_mails.send_now(id, &by, &origin).await.unwrap());
        assert!(!services.failed_mails.drop_mail(id, &by, &origin).await.unwrap());
        assert_ne!(state().await, Some(MailState::Due(world.clock.now())));
        *services.mailer.in_delivery.lock().await = None;
        assert!(services.failed_mails.send_now(id, &by, &origin).await.unwrap());
        assert_eq!(state().await, Some(MailState::Due(world.clock.now())));
        assert!(services.failed_mails.drop_mail(id, &by, &origin).await.unwrap());
        assert_eq!(state().await, None);
        assert!(!services.failed_mails.drop_mail(id, &by, &origin).await.unwrap());
        assert!(!services.failed_mails.send_now(id, &by, &origin).await.unwrap());
        let events: Vec<Kind> = world.events().await.iter().map(|event| event.event).collect();
        assert_eq!(events[..2], [Kind::MailDrop, Kind::MailAgain]);
    }

    #[tokio::test]
    async fn all_that_failed_and_that_a_filter_lets_through_are_sent_again_at_once() {
        let world = TestEnv::with_ann(|_| {}).await;
        let services = &world.services;
        for name in ["bea", "bob", "cid"] {
            world.add(&format!("{name}@example.com"), &[]).await;
        }
        for email in [EMAIL, "bea@example.com", "bob@example.com", "cid@example.com"] {
            services.email_tokens.forgot(email, &client()).await.unwrap();
        }
        let mails = world.store.mails(None, 10).await.unwrap().mails;
        assert_eq!(mails.len(), 4);
        // Cid's mail is still waiting.
        for kept in mails.iter().filter(|kept| kept.mail.to.local() != "cid") {
            let failed = MailOutcome::Failed {
                at: world.clock.now(),
                reason: "550".to_owned(),
            };
            world.store.complete_mail(kept.mail.id, failed).await.unwrap();
        }
        let filter = |to: &str, topic| MailFilter {
            to: to.to_owned(),
            topic,
            failed: None,
        };
        let again = async |filter: &MailFilter| {
            let (by, origin) = (tester(), client());
            services
                .failed_mails
                .send_all_again(|mail| filter.passes(mail), &by, &origin)
                .await
                .unwrap()
        };
        assert_eq!(again(&filter("", Some("invitation"))).await, 0);
        assert_eq!(again(&filter("cid@", None)).await, 0, "it waits");
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = services
                .admin_queries
                .find_mails(&filter("B", None), after, 1)
                .await
                .unwrap();
            found.extend(page.mails.iter().map(|kept| kept.mail.to.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found.sort();
        assert_eq!(found, ["bea@example.com", "bob@example.com"]);
        assert_eq!(again(&filter("B", Some("reset"))).await, 2);
        assert_eq!(services.failed_mails.count().await.unwrap(), 1);
        assert_eq!(again(&MailFilter::default()).await, 1);
        assert_eq!(services.failed_mails.count().await.unwrap(), 0);
    }
}
