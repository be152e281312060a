use super::*;
use crate::model::{AuditEvent, Standing};
use crate::services::world::{EMAIL, World, client};

#[tokio::test]
async fn s18_asking_for_a_reset_costs_one_event_and_one_mail_whoever_has_the_address() {
    let world = World::with_ann(|config| config.signup.verify_email = true).await;
    let services = &world.services;
    let mut left_behind = Vec::new();
    for (standing, email_verified, email) in [
        (Standing::Active, true, EMAIL),
        (Standing::Active, false, EMAIL),
        (Standing::AwaitingApproval, true, EMAIL),
        (Standing::Declined, true, EMAIL),
        (Standing::Disabled, true, EMAIL),
        (Standing::Active, true, "nobody@example.com"),
    ] {
        let account = world.account(EMAIL).await;
        let changed = Account {
            email_verified,
            standing,
            ..account.clone()
        };
        world.store.update_account(&account, changed, "").await.unwrap();
        let (hashes, recorded, waiting) = (world.hashes(), world.events().await, world.mails().await);
        services.mailed_links.forgot(email, &client()).await.unwrap();
        assert_eq!(world.hashes(), hashes, "{standing:?} {email}");
        let (mut events, mut mails) = (world.events().await, world.mails().await);
        events.truncate(events.len() - recorded.len());
        mails.retain(|mail| !waiting.contains(mail));
        assert_eq!((events.len(), mails.len()), (1, 1), "{standing:?} {email}");
        let (event, mail) = (events.remove(0), mails.remove(0));
        assert_eq!((event.who.as_str(), mail.to.as_str()), (email, email));
        let anybodys = AuditEvent {
            who: String::new(),
            ..event
        };
        left_behind.push((anybodys, mail.topic, mail.language, mail.cause));
    }
    let (first, others) = left_behind.split_first().unwrap();
    assert_eq!((&first.0.event, &first.1), (&Kind::ResetRequest, &Topic::Reset));
    assert!(others.iter().all(|other| other == first), "{left_behind:#?}");
}

impl World {
    /// Those that wait.
    async fn mails(&self) -> Vec<Mail> {
        let kept = self.store.mails(None, 100).await.unwrap();
        kept.into_iter().map(|kept| kept.mail).collect()
    }
}
