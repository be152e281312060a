use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::model::{AccountStatus, AuditEvent};
use crate::secret::Secret;
use crate::services::test_support::{EMAIL, PASSWORD, TestEnv, client, tester};
use crate::services::{AccountChange, AccountError, Actor, NewPassword};

#[tokio::test]
async fn s18_asking_for_a_reset_costs_one_event_and_one_mail_whoever_has_the_address() {
    let world = TestEnv::with_ann(|config| config.signup.verify_email = true).await;
    let services = &world.services;
    let mut left_behind = Vec::new();
    for (status, email_verified, email) in [
        (AccountStatus::Active, true, EMAIL),
        (AccountStatus::Active, false, EMAIL),
        (AccountStatus::AwaitingApproval, true, EMAIL),
        (AccountStatus::Declined, true, EMAIL),
        (AccountStatus::Disabled, true, EMAIL),
        (AccountStatus::Active, true, "nobody@example.com"),
    ] {
        let account = world.account(EMAIL).await;
        let changed = Account {
            email_verified,
            status,
            ..account.clone()
        };
        world.store.update_account(&account, changed).await.unwrap();
        let (hashes, recorded, waiting) = (world.hashes(), world.events().await, world.mails().await);
        services.email_tokens.forgot(email, &client()).await.unwrap();
        assert_eq!(world.hashes(), hashes, "{status:?} {email}");
        let (mut events, mut mails) = (world.events().await, world.mails().await);
        events.truncate(events.len() - recorded.len());
        mails.retain(|mail| !waiting.contains(mail));
        assert_eq!((events.len(), mails.len()), (1, 1), "{status:?} {email}");
        let (event, mail) = (events.remove(0), mails.remove(0));
        assert_eq!((event.who.as_str(), mail.to.as_str()), (email, email));
        let anybodys = AuditEvent {
            who: String::new(),
            ..event
        };
        left_behind.push((anybodys, mail.topic, mail.language, mail.cause));
    }
    let (first, others) = left_behind.split_first().unwrap();
    assert_eq!(
        (&first.0.event, &first.1),
        (&Kind::ResetRequest, &MailKind::Reset)
    );
    assert!(others.iter().all(|other| other == first), "{left_behind:#?}");
}

impl TestEnv {
    /// The queued mails.
    async fn mails(&self) -> Vec<Mail> {
        let kept = self.store.mails(None, 100).await.unwrap().mails;
        kept.into_iter().map(|kept| kept.mail).collect()
    }
}

#[tokio::test]
async fn s18_sending_the_link_again_costs_one_event_and_one_mail_for_every_name() {
    let world = TestEnv::with_ann(|config| {
        config.signup.verify_email = true;
        config.login.username = true;
    })
    .await;
    let ann = world.account(EMAIL).await;
    for login in [EMAIL, "nobody@example.com", ann.username.as_str(), "unknown"] {
        let (recorded, waiting) = (world.events().await, world.mails().await);
        let asked = world.services.email_tokens.send_again(login, &client()).await;
        asked.unwrap();
        let (events, mails) = (world.events().await, world.mails().await);
        assert_eq!(events.len(), recorded.len() + 1, "{login}");
        assert_eq!(
            (events[0].event, events[0].who.as_str()),
            (Kind::VerifyRequest, login)
        );
        assert_eq!(mails.len(), waiting.len() + 1, "{login}");
    }
}

#[tokio::test]
async fn a_link_that_is_void_is_on_record() {
    let world = TestEnv::with_ann(|config| config.login.reset = true).await;
    let (links, password) = (
        &world.services.email_tokens,
        Secret::new("0ther-Horizon".to_owned()),
    );
    let confirmed = links.confirm("nonsense", &client()).await;
    assert!(matches!(confirmed, Err(LinkError::Void)), "{confirmed:?}");
    let reset = links.reset("nonsense", &password, &password, &client()).await;
    assert!(matches!(reset, Err(LinkError::Void)), "{reset:?}");
    let events = world.events().await;
    for kind in [Kind::EmailVerify, Kind::PasswordReset] {
        let event = events.iter().find(|event| event.event == kind).unwrap();
        assert_eq!(event.reason.as_deref(), Some("invalid-token"));
    }
}

#[tokio::test]
async fn s19_a_link_that_was_made_while_the_clock_was_ahead_lives_no_longer() {
    const MINUTE: Duration = Duration::from_mins(1);
    let mut world = TestEnv::with_ann(|_| {}).await;
    let noon = world.clock.now();
    for (ahead, then, restarts, serves) in [
        (30 * MINUTE, 59 * MINUTE, false, true),
        (30 * MINUTE, 60 * MINUTE, false, false),
        // After a restart only the wall clock tells time: a future creation time is not trusted.
        (MINUTE, 30 * MINUTE, true, true),
        (24 * 60 * MINUTE, 30 * MINUTE, true, false),
    ] {
        world = world.reopened(noon + ahead).await;
        let account = world.account(EMAIL).await;
        let by = Actor::operator("test");
        let links = &world.services.email_tokens;
        let (link, _) = links.reset_link(&account, &by, &client()).await.unwrap();
        let token = link.expose().split_once("token=").unwrap().1.to_owned();
        world.hand.set_wall(noon);
        world.hand.advance(then);
        if restarts {
            world = world.reopened(noon + then).await;
        }
        let found = world.services.email_tokens.resets(&token).await;
        assert_eq!(found.is_ok(), serves, "{ahead:?} {then:?}: {found:?}");
    }
}

#[tokio::test]
async fn s19_a_link_serves_its_time_though_the_clock_is_set_ahead() {
    const MINUTE: Duration = Duration::from_mins(1);
    let world = TestEnv::with_ann(|_| {}).await;
    let (account, by) = (world.account(EMAIL).await, Actor::operator("test"));
    let links = &world.services.email_tokens;
    let (link, _) = links.reset_link(&account, &by, &client()).await.unwrap();
    let token = link.expose().split_once("token=").unwrap().1.to_owned();
    world.hand.set_wall(world.clock.now() + 120 * MINUTE);
    world.hand.advance(59 * MINUTE);
    links.resets(&token).await.unwrap();
    let password = Secret::new("0ther-Horizon".to_owned());
    let early = world.clock.now();
    links
        .reset(&token, &password, &password, &client())
        .await
        .unwrap();
    assert_eq!(world.account(EMAIL).await.password_changed_at, early);

    let (link, _) = links.reset_link(&account, &by, &client()).await.unwrap();
    let token = link.expose().split_once("token=").unwrap().1.to_owned();
    world.hand.advance(60 * MINUTE);
    world.hand.set_wall(early);
    let late = links.reset(&token, &password, &password, &client()).await;
    assert!(matches!(late, Err(LinkError::Void)), "{late:?}");
}

const NEW_PASSWORD: &str = "0ther-Horizon";

impl TestEnv {
    /// The token of a reset link for the account that this actor makes.
    async fn link_by(&self, email: &str, by: &Actor) -> String {
        let (account, links) = (self.account(email).await, &self.services.email_tokens);
        let (link, _) = links.reset_link(&account, by, &client()).await.unwrap();
        link.expose().split_once("token=").unwrap().1.to_owned()
    }

    async fn reset_with(&self, token: &str) -> Result<(), LinkError> {
        let password = Secret::new(NEW_PASSWORD.to_owned());
        let links = &self.services.email_tokens;
        links.reset(token, &password, &password, &client()).await
    }
}

/// Who may not administer any more has no way left into the accounts of others.
#[tokio::test]
async fn s76_a_reset_link_is_void_once_its_maker_administers_no_more() {
    let ends = [
        "disabled",
        "out of the group",
        "deleted",
        "disabled for a while",
        "another password",
        "",
    ];
    // The clock goes on, or was ahead by an hour when the maker was made an administrator or lost the right.
    let clocks = [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"),
        ("2026-01-01T00:50:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:50:00Z"),
    ];
    for (ends, (made, lost)) in ends
        .into_iter()
        .flat_map(|ends| clocks.map(|clock| (ends, clock)))
    {
        let world = TestEnv::with_ann(|_| {}).await;
        world.add("boss@example.com", &["gateway-admin"]).await;
        let maker = "mallory@example.com";
        world.add(maker, &["gateway-admin"]).await;
        world.hand.set_wall(made.parse().unwrap());
        let password = NewPassword::Plain(Secret::new(PASSWORD.to_owned()));
        let set = AccountChange::SetPassword(password);
        let accounts = &world.services.accounts;
        accounts.change(maker, set, &tester(), &client()).await.unwrap();
        world.hand.set_wall("2026-01-01T00:00:00Z".parse().unwrap());
        let session = world.sign_in(maker, PASSWORD).await.unwrap().session;
        let by = world.services.administrator(&session);
        let token = world.link_by(EMAIL, &by).await;
        let (operator, origin) = (tester(), client());
        let leaves = AccountChange::SetGroups(BTreeSet::new());
        world.hand.set_wall(lost.parse().unwrap());
        let ended = match ends {
            "disabled for a while" => {
                accounts
                    .change(maker, AccountChange::Disable, &operator, &origin)
                    .await
                    .unwrap();
                accounts
                    .change(maker, AccountChange::Enable, &operator, &origin)
                    .await
            }
            "another password" => {
                let password = NewPassword::Plain(Secret::new(NEW_PASSWORD.to_owned()));
                accounts
                    .change(maker, AccountChange::SetPassword(password), &operator, &origin)
                    .await
            }
            "disabled" => {
                accounts
                    .change(maker, AccountChange::Disable, &operator, &origin)
                    .await
            }
            "deleted" => accounts.delete(maker, &operator, &origin).await,
            "out of the group" => accounts.change(maker, leaves, &operator, &origin).await,
            _ => accounts.find(maker).await,
        };
        ended.unwrap();
        world.hand.set_wall("2026-01-01T00:00:02Z".parse().unwrap());
        let before = world.account(EMAIL).await.password_hash;
        let shown = world.services.email_tokens.resets(&token).await;
        assert_eq!(shown.is_ok(), ends.is_empty(), "{ends}: {shown:?}");
        let reset = world.reset_with(&token).await;
        if ends.is_empty() {
            reset.unwrap();
            world.sign_in(EMAIL, NEW_PASSWORD).await.unwrap();
        } else {
            assert!(matches!(reset, Err(LinkError::Void)), "{ends}: {reset:?}");
            let events = world.events().await;
            let void = events
                .iter()
                .find(|event| event.reason.as_deref() == Some("invalid-token"));
            assert_eq!(void.unwrap().who, EMAIL, "{ends}: whose link it was");
            assert_eq!(world.account(EMAIL).await.password_hash, before, "{ends}");
            world.sign_in(EMAIL, PASSWORD).await.unwrap();
        }
    }
}

/// A reload may name another group while an act waits for its turn to hash.
#[tokio::test]
async fn s76_what_waits_while_another_group_is_made_the_administrators_is_done_by_that() {
    let world = TestEnv::with_ann(|_| {}).await;
    for administrator in ["boss@example.com", "mallory@example.com"] {
        world.add(administrator, &["gateway-admin"]).await;
    }
    let session = world
        .sign_in("mallory@example.com", PASSWORD)
        .await
        .unwrap()
        .session;
    let by = world.services.administrator(&session);
    let token = world.link_by(EMAIL, &by).await;
    let before = world.account(EMAIL).await;
    let hashing = world.hold_hashing();
    let free = world.services.hasher.free();
    let password = NewPassword::Plain(Secret::new(NEW_PASSWORD.to_owned()));
    let set = AccountChange::SetPassword(password);
    let origin = client();
    let set = world.services.accounts.change(EMAIL, set, &by, &origin);
    let reload = async {
        // Both wait for the hash.
        while world.services.hasher.free() > free - 2 {
            tokio::task::yield_now().await;
        }
        let mut config = world.config.clone();
        config.admin.group = "others".to_owned();
        world.services.apply_config(&config);
        drop(hashing);
    };
    let (set, reset, ()) = tokio::join!(set, world.reset_with(&token), reload);
    assert!(
        matches!(&set, Err(AccountError::Store(StoreError::Precondition(_)))),
        "{set:?}"
    );
    assert!(matches!(reset, Err(LinkError::Void)), "{reset:?}");
    assert_eq!(world.account(EMAIL).await, before);
}

/// The operator's links, made on the machine, depend on no account.
#[tokio::test]
async fn s77_disabling_voids_the_links_that_were_made_before() {
    let world = TestEnv::with_ann(|_| {}).await;
    let operator = tester();
    let change = async |change| {
        let accounts = &world.services.accounts;
        accounts
            .change(EMAIL, change, &operator, &client())
            .await
            .unwrap();
    };
    let early = world.link_by(EMAIL, &operator).await;
    change(AccountChange::Disable).await;
    let meanwhile = world.link_by(EMAIL, &operator).await;
    for token in [&early, &meanwhile] {
        let reset = world.reset_with(token).await;
        assert!(matches!(reset, Err(LinkError::Void)), "{reset:?}");
    }
    change(AccountChange::Enable).await;
    let reset = world.reset_with(&early).await;
    assert!(matches!(reset, Err(LinkError::Void)), "{reset:?}");
    world.reset_with(&meanwhile).await.unwrap();
    world.sign_in(EMAIL, NEW_PASSWORD).await.unwrap();
}
