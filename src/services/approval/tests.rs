use std::time::Duration;

use super::*;
use crate::config::SignupMode;
use crate::services::mail::ANNOUNCED;
use crate::services::test_support::{EMAIL, PASSWORD, TestEnv, client, form, tester};
use crate::services::{AccountChange, AccountError, SignInError, SignUpNext};

async fn world(verify_email: bool) -> TestEnv {
    TestEnv::with(|config| {
        config.signup.mode = SignupMode::Open;
        config.signup.approval = true;
        config.signup.verify_email = verify_email;
    })
    .await
}

impl TestEnv {
    async fn decide(&self, change: AccountChange, reason: &str) -> Result<Account, AccountError> {
        let by = tester().because(reason);
        self.services.accounts.change(EMAIL, change, &by, &client()).await
    }

    /// The mails enqueued after the first `count`: recipients and kinds.
    async fn mails_after(&self, count: usize) -> Vec<(String, MailKind)> {
        // Mails of one moment are in no particular order.
        self.hand.advance(Duration::from_secs(1));
        let mails = self.store.mails(None, 100).await.unwrap().mails;
        mails
            .into_iter()
            .skip(count)
            .map(|kept| (kept.mail.to.to_string(), kept.mail.topic))
            .collect()
    }
}

#[tokio::test]
async fn s17_whoever_waits_is_announced_and_told_what_was_decided() {
    let world = world(false).await;
    world.add("root1@example.com", &["gateway-admin"]).await;
    world.add("gone@example.com", &["gateway-admin"]).await;
    let accounts = &world.services.accounts;
    accounts
        .change("gone@example.com", AccountChange::Disable, &tester(), &client())
        .await
        .unwrap();

    let next = world
        .services
        .sign_up
        .sign_up(form(EMAIL, "ann", PASSWORD), &client())
        .await;
    assert_eq!(next.unwrap(), SignUpNext::Approval);
    let account = world.account(EMAIL).await;
    let asked = (
        "root1@example.com".to_owned(),
        MailKind::AwaitingApproval(account.id),
    );
    assert_eq!(world.mails_after(0).await, [asked]);

    let declined = world
        .decide(AccountChange::Decline, "not one of us")
        .await
        .unwrap();
    let decision = declined.decision.unwrap();
    assert_eq!(
        (decision.by.as_str(), decision.reason.as_deref(), decision.at),
        ("test", Some("not one of us"), world.clock.now())
    );
    let refused = world.sign_in(EMAIL, PASSWORD).await;
    assert!(matches!(refused, Err(SignInError::NotApproved)), "{refused:?}");
    let told = |topic| (EMAIL.to_owned(), topic);
    assert_eq!(world.mails_after(1).await, [told(MailKind::Declined)]);

    world.decide(AccountChange::Approve, "").await.unwrap();
    world.decide(AccountChange::Approve, "again").await.unwrap();
    world.sign_in(EMAIL, PASSWORD).await.unwrap();
    assert_eq!(world.mails_after(2).await, [told(MailKind::Approved)]);
}

#[tokio::test]
async fn s15_nobody_is_asked_to_approve_what_is_not_verified() {
    let world = world(true).await;
    world.add("root1@example.com", &["gateway-admin"]).await;
    let signed_up = world
        .services
        .sign_up
        .sign_up(form(EMAIL, "ann", PASSWORD), &client())
        .await;
    assert_eq!(signed_up.unwrap(), SignUpNext::Verify);
    let mut account = world.account(EMAIL).await;
    let approval = &world.services.accounts.approval;
    let asked = |mails: &[Mail]| {
        mails
            .iter()
            .any(|mail| mail.topic == MailKind::AwaitingApproval(account.id))
    };
    let kept = world.store.mails(None, 100).await.unwrap().mails;
    assert!(!kept.iter().any(|kept| asked(std::slice::from_ref(&kept.mail))));
    // Nor is mail sent to an unverified address.
    let written = kept.len();
    world.decide(AccountChange::Decline, "").await.unwrap();
    assert!(world.mails_after(written).await.is_empty());

    account.email_verified = true;
    assert_eq!(SignUpNext::of(&account, true), SignUpNext::Approval);
    let requests = approval.requests(&account, &client()).await.unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].topic, MailKind::AwaitingApproval(account.id));
}

/// Signs up many accounts whose addresses are never verified.
async fn flood(world: &TestEnv, count: usize) {
    for n in 0..count {
        let name = format!("flood{n}");
        let form = form(&format!("{name}@example.com"), &name, PASSWORD);
        world.services.sign_up.sign_up(form, &client()).await.unwrap();
    }
}

async fn announcements(world: &TestEnv) -> usize {
    let mails = world.mails_after(0).await;
    mails
        .iter()
        .filter(|(_, topic)| matches!(topic, MailKind::AwaitingApproval(_)))
        .count()
}

#[tokio::test]
async fn s23_administrators_are_not_told_of_a_flood_one_by_one() {
    let world = world(false).await;
    world.add("root1@example.com", &["gateway-admin"]).await;
    flood(&world, ANNOUNCED + 3).await;
    assert_eq!(announcements(&world).await, ANNOUNCED);
    assert_eq!(
        world.services.admin_queries.waiting().await.unwrap(),
        ANNOUNCED + 3
    );
    // The flood is over, and none of it was decided.
    world.hand.advance(Duration::from_hours(1));
    let ann = world
        .services
        .sign_up
        .sign_up(form(EMAIL, "ann", PASSWORD), &client())
        .await;
    assert_eq!(ann.unwrap(), SignUpNext::Approval);
    assert_eq!(announcements(&world).await, ANNOUNCED + 1);
}

#[tokio::test]
async fn s23_accounts_that_nobody_proves_silence_nobody() {
    let world = world(true).await;
    world.add("root1@example.com", &["gateway-admin"]).await;
    flood(&world, ANNOUNCED + 3).await;
    assert_eq!(announcements(&world).await, 0);
    assert_eq!(world.services.admin_queries.waiting().await.unwrap(), 0);
    let ann = world
        .services
        .sign_up
        .sign_up(form(EMAIL, "ann", PASSWORD), &client())
        .await;
    assert_eq!(ann.unwrap(), SignUpNext::Verify);
    let mut account = world.account(EMAIL).await;
    account.email_verified = true;
    let approval = &world.services.accounts.approval;
    assert_eq!(approval.requests(&account, &client()).await.unwrap().len(), 1);
}
