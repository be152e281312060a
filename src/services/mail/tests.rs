use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::content::{MailContent, MailContext};
use super::templates::MailTemplates;
use super::worker::{Backoff, DeliveryStep};
use super::*;
use crate::config::Config;
use crate::ids::{AccountId, InvitationId};
use crate::model::{Account, PlainToken};
use crate::services::test_support::{EMAIL, PASSWORD, TestEnv, client, tester};
use crate::services::{
    AccountChange, InitialPassword, Invitee, Invitees, NewAccount, NewInvitations, PasswordLink,
};
use crate::store::TokenEffect;

impl TestEnv {
    /// Sends all that is due now and returns the steps.
    async fn deliver(&self) -> Vec<DeliveryStep> {
        let way = self.services.mailer.transport.load().open().unwrap();
        let (mut memory, mut steps) = (Backoff::default(), Vec::new());
        loop {
            let step = self
                .services
                .mailer
                .step(&way, &mut memory, &CancellationToken::new())
                .await
                .unwrap();
            if step == DeliveryStep::Idle {
                return steps;
            }
            steps.push(step);
        }
    }

    async fn enqueue(&self, to: &str, topics: Vec<MailKind>) {
        let mailer = &self.services.mailer;
        let to = to.parse().unwrap();
        let mails = topics
            .into_iter()
            .map(|topic| {
                // A later time each, so that the ids keep the order.
                self.hand.advance(Duration::from_millis(1));
                mailer.mail(&to, topic, &client())
            })
            .collect();
        mailer.enqueue(mails).await.unwrap();
    }
}

/// Each kind of mail, and whether it carries a token.
fn topics(id: AccountId, invitation: InvitationId) -> Vec<(MailKind, bool)> {
    let elsewhere: Email = "ann@elsewhere.example".parse().unwrap();
    vec![
        (MailKind::VerifyEmail, true),
        (MailKind::AlreadyRegistered, false),
        (MailKind::AlreadyRegistered, true),
        (MailKind::Reset, true),
        (MailKind::ChangeEmail(id), true),
        (MailKind::ChangeEmail(id), false),
        (MailKind::EmailChanged(elsewhere), false),
        (MailKind::UsernameChanged("anna".parse().unwrap()), false),
        (MailKind::PasswordChanged, false),
        (MailKind::PasswordReset, false),
        (
            MailKind::AccessKeyCreated("AKIAIOSFODNN7EXAMPLE".parse().unwrap()),
            false,
        ),
        (MailKind::AwaitingApproval(id), false),
        (MailKind::Approved, false),
        (MailKind::Declined, false),
        (MailKind::Invitation(invitation), true),
        (MailKind::AccountAdded, true),
    ]
}

#[tokio::test]
async fn every_kind_of_mail_in_every_language() {
    let world = TestEnv::with_ann(|_| {}).await;
    let account: Account = world.change(crate::services::AccountChange::Enable).await;
    let random = Random::seeded(1);
    let mut config = Config::default();
    config.branding.name = "Harbour & Sons".to_owned();
    for (lang, contact, reset) in [("en", "it@harbour.example", true), ("ko", "", false)] {
        config.branding.contact = contact.to_owned();
        config.login.reset = reset;
        let templates = MailTemplates::new(&config).unwrap();
        let mut letters = String::new();
        for (topic, carries_token) in topics(account.id, InvitationId::new(world.clock.now(), &random)) {
            let administrative = matches!(
                topic,
                MailKind::Approved | MailKind::Declined | MailKind::Invitation(_) | MailKind::AccountAdded
            );
            let mut mail = world.services.mailer.mail(&account.email, topic, &client());
            mail.language = Some(lang.to_owned());
            mail.cause.by_administrator = administrative;
            let details = MailContext {
                account: (!matches!(mail.topic, MailKind::Invitation(_))).then(|| account.clone()),
                token: carries_token.then(|| PlainToken::parse(&"T".repeat(43)).unwrap()),
                lasts: 24,
                ..MailContext::default()
            };
            let content = MailContent::write(&templates, &mail, &details, account.email.clone());
            write!(letters, "Subject: {}\n\n{}\n\n", content.subject, content.text()).unwrap();
        }
        insta::assert_snapshot!(format!("letters.{lang}"), letters);
    }
}

#[tokio::test]
async fn an_operators_template_takes_the_place_of_the_built_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let own = "<b>{{ letter.greeting }}</b>{% for link in letter.links %}<a href=\"{{ link.url | safe }}\">{{ brand }}</a>{% endfor %}";
    std::fs::write(folder.path().join("letter.html"), own).unwrap();
    let world = TestEnv::with_ann(|config| {
        config.branding.folder = folder.path().to_owned();
        config.branding.name = "Harbour & Sons".to_owned();
    })
    .await;
    let mailer = &world.services.mailer;
    let mail = mailer.mail(&EMAIL.parse().unwrap(), MailKind::Approved, &client());
    let stationery = mailer.templates.load();
    let content = MailContent::write(&stationery, &mail, &MailContext::default(), mail.to.clone());
    let html = message::html(&stationery, content.lang, &content).unwrap();
    let link = "<a href=\"https://localhost:8443/.auth/login\">Harbour &amp; Sons</a>";
    assert!(html.starts_with("<b>") && html.ends_with(link), "{html}");
}

#[tokio::test]
async fn nobody_is_written_to_who_has_no_use_for_it() {
    let world = TestEnv::with_ann(|_| {}).await;
    // The account is verified already.
    world.enqueue(EMAIL, vec![MailKind::VerifyEmail]).await;
    let id = world
        .store
        .account_by_email(&EMAIL.parse().unwrap())
        .await
        .unwrap()
        .unwrap()
        .id;
    world
        .enqueue(
            "nobody@example.com",
            vec![
                MailKind::VerifyEmail,
                MailKind::AlreadyRegistered,
                MailKind::Reset,
                MailKind::Approved,
                MailKind::AccountAdded,
                // This account does not wait for approval.
                MailKind::AwaitingApproval(id),
                MailKind::Invitation(InvitationId::new(world.clock.now(), &Random::seeded(1))),
            ],
        )
        .await;
    assert_eq!(world.deliver().await, vec![DeliveryStep::Settled; 8]);
    assert!(world.outbox().is_empty());
    assert!(world.store.mails(None, 10).await.unwrap().mails.is_empty());
}

#[tokio::test]
async fn s23_what_anybody_can_cause_is_counted_for_an_hour_and_notices_are_not() {
    let world = TestEnv::with_ann(|_| {}).await;
    world.enqueue(EMAIL, vec![MailKind::Reset; 3]).await;
    world
        .enqueue(EMAIL, vec![MailKind::AlreadyRegistered, MailKind::Reset])
        .await;
    world.enqueue(EMAIL, vec![MailKind::PasswordChanged; 5]).await;
    world.deliver().await;
    assert_eq!(world.outbox().len(), 3 + 5);
    world.hand.advance(Duration::from_hours(1));
    world.enqueue(EMAIL, vec![MailKind::Reset]).await;
    world.deliver().await;
    assert_eq!(world.outbox().len(), 3 + 5 + 1);
}

#[tokio::test]
async fn s19_a_reset_works_for_an_hour_from_when_it_was_sent() {
    let world = TestEnv::with_ann(|_| {}).await;
    world.enqueue(EMAIL, vec![MailKind::Reset]).await;
    // The mail server was down for hours.
    world.hand.advance(Duration::from_hours(10));
    world.deliver().await;
    // The file must be readable as it is: plain English text, the link on one line.
    let mail = std::fs::read_to_string(&world.outbox()[0]).unwrap();
    let token = mail.split("/.auth/reset?token=").nth(1);
    let token = PlainToken::parse(&token.expect("a link")[..43]).unwrap();
    let links = &world.services.email_tokens;
    world.hand.advance(Duration::from_secs(3599));
    links.resets(token.expose()).await.unwrap();
    world.hand.advance(Duration::from_secs(1));
    assert!(links.resets(token.expose()).await.is_err());
    let effect = TokenEffect::VerifyEmail;
    let now = world.clock.now();
    let void = world
        .store
        .consume_token(token.digest(), effect, Vec::new(), now)
        .await;
    assert_eq!(void.unwrap(), crate::store::ConsumeToken::Void);
}

/// A mail may wait for days; who made its link may be in no position to make one any more.
#[tokio::test]
async fn s77_a_mailed_link_rests_on_the_right_of_the_administrator_who_made_it() {
    for (disabled_before, disabled_after) in [(false, false), (true, false), (false, true)] {
        let world = TestEnv::with_ann(|_| {}).await;
        let maker = "mallory@example.com";
        for administrator in ["boss@example.com", maker] {
            world.add(administrator, &["gateway-admin"]).await;
        }
        let session = world.sign_in(maker, PASSWORD).await.unwrap().session;
        let by = world.services.administrator(&session);
        let new = NewAccount {
            email: "mole@example.com".parse().unwrap(),
            username: None,
            name: None,
            groups: BTreeSet::new(),
            password: InitialPassword::ByLink(PasswordLink::Mailed),
        };
        let services = &world.services;
        services.accounts.add(new, &by, &client()).await.unwrap();
        let to: Email = "guest@example.com".parse().unwrap();
        let invitation = NewInvitations {
            invitees: Invitees::Mailed(vec![Invitee::from(to)]),
            ..NewInvitations::default()
        };
        services
            .invitations
            .invite(invitation, &by, &client())
            .await
            .unwrap();
        let disable = async || {
            world.hand.advance(Duration::from_secs(1));
            let (operator, origin) = (tester(), client());
            let disabled = services
                .accounts
                .change(maker, AccountChange::Disable, &operator, &origin);
            disabled.await.unwrap();
        };
        if disabled_before {
            disable().await;
        }
        world.deliver().await;
        let mails = world.outbox();
        assert_eq!(mails.len(), if disabled_before { 0 } else { 2 });
        let mut links = mails.iter().map(|path| std::fs::read_to_string(path).unwrap());
        let Some(token) =
            links.find_map(|mail| Some(mail.split("/.auth/reset?token=").nth(1)?[..43].to_owned()))
        else {
            assert!(disabled_before);
            continue;
        };
        if disabled_after {
            disable().await;
        }
        assert_eq!(
            services.email_tokens.resets(&token).await.is_ok(),
            !disabled_after
        );
    }
}

#[tokio::test]
async fn what_a_configuration_says_of_mails_is_followed() {
    let world = TestEnv::with_ann(|_| {}).await;
    let mut config = world.config.clone();
    config.login.reset = false;
    config.branding.name = "Harbour".to_owned();
    world.services.mailer.reload(&config);
    world
        .enqueue(EMAIL, vec![MailKind::Reset, MailKind::PasswordChanged])
        .await;
    assert_eq!(world.deliver().await, [DeliveryStep::Settled, DeliveryStep::Sent]);
    let mail = std::fs::read_to_string(&world.outbox()[0]).unwrap();
    assert!(
        mail.contains("Subject: Harbour: your password was changed"),
        "{mail}"
    );
}
