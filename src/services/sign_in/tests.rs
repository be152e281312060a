use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::config::{Config, HumanDuration};
use crate::model::AccountStatus;
use crate::services::test_support::{
    EMAIL, PASSWORD, TestEnv, client, sign_in, tester, unwritable_audit_log,
};
use crate::services::{AccountChange, NewPassword};

mod clock;

const LOCK: Duration = Duration::from_mins(20);

fn with_username(config: &mut Config) {
    config.login.username = true;
}

#[tokio::test]
async fn signs_in_by_address_and_out_again() {
    let world = TestEnv::with_ann(|_| {}).await;
    let signed_in = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let digest = signed_in.token.digest();
    assert_eq!(signed_in.account.email.as_str(), EMAIL);
    let found = world.services.sessions.find(&digest).unwrap();
    assert_eq!(found.principal().account, signed_in.account.id);

    world.services.sign_in.sign_out(&found, &client()).await.unwrap();
    assert!(world.services.sessions.find(&digest).is_none());
    assert!(found.ended().is_cancelled());
    assert!(world.store.sessions().await.unwrap().is_empty());
}

#[tokio::test]
async fn signs_in_by_username_only_where_that_is_switched_on() {
    let off = TestEnv::with_ann(|_| {}).await;
    assert!(matches!(
        off.sign_in("ann", PASSWORD).await,
        Err(SignInError::InvalidCredentials)
    ));
    let on = TestEnv::with_ann(with_username).await;
    on.sign_in("ANN", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn s5_every_wrong_attempt_costs_one_hash_and_is_answered_alike() {
    let world = TestEnv::with_ann(with_username).await;
    for status in [
        AccountStatus::Active,
        AccountStatus::Declined,
        AccountStatus::Disabled,
    ] {
        world.set_status(status).await;
        let unknown = "nobody@example.com";
        for (login, password) in [
            (EMAIL, "wrong"),
            (EMAIL, ""),
            (EMAIL, "nul\0"),
            (unknown, "wrong"),
            (unknown, PASSWORD),
            ("ann", "wrong"),
            ("no name at all", "wrong"),
            ("", ""),
        ] {
            let before = world.hashes();
            world.fail_with(login, password).await;
            assert_eq!(world.hashes(), before + 1, "{login:?} {password:?}");
        }
        world.change(AccountChange::Unlock).await;
    }
}

#[tokio::test]
async fn s3_a_mebibyte_of_password_is_never_hashed() {
    let world = TestEnv::with_ann(|_| {}).await;
    let before = world.hashes();
    world.fail_with(EMAIL, &"a".repeat(1 << 20)).await;
    assert_eq!(world.hashes(), before);
}

#[tokio::test]
async fn s4_an_older_hash_is_upgraded_by_the_right_password_only() {
    let world = TestEnv::with_ann(|_| {}).await;
    let services = world.restarted(5).await;
    let stored = async || services.accounts.find(EMAIL).await.unwrap().password_hash;
    assert!(stored().await.starts_with("$2b$04$"));
    assert!(sign_in(&services, EMAIL, "wrong").await.is_err());
    assert!(stored().await.starts_with("$2b$04$"));
    sign_in(&services, EMAIL, PASSWORD).await.unwrap();
    assert!(stored().await.starts_with("$2b$05$"));
    let before = services.hasher.hashes();
    sign_in(&services, EMAIL, PASSWORD).await.unwrap();
    assert_eq!(services.hasher.hashes(), before + 1);
}

#[tokio::test]
async fn s4_a_corrupt_hash_is_a_failed_sign_in_that_costs_one_hash() {
    let world = TestEnv::with_ann(|_| {}).await;
    let account = world.services.accounts.find(EMAIL).await.unwrap();
    let corrupt = Account {
        password_hash: "$2b$04$corrupt".to_owned(),
        ..account.clone()
    };
    world.store.update_account(&account, corrupt).await.unwrap();
    let before = world.hashes();
    world.fail_with(EMAIL, PASSWORD).await;
    assert_eq!(world.hashes(), before + 1);
}

#[tokio::test]
async fn a_hash_from_elsewhere_works_as_it_is() {
    let world = TestEnv::with_ann(|_| {}).await;
    let foreign = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    world
        .change(AccountChange::SetPassword(NewPassword::Hash(foreign.to_owned())))
        .await;
    world.sign_in(EMAIL, "U*U").await.unwrap();
    let upgraded = world.services.accounts.find(EMAIL).await.unwrap().password_hash;
    assert!(upgraded.starts_with("$2b$"), "{upgraded}");
    world.sign_in(EMAIL, "U*U").await.unwrap();
}

#[tokio::test]
async fn s3_one_normalisation_for_passwords_and_names() {
    let world = TestEnv::new().await;
    world.add("andr\u{e9}@example.com", &[]).await;
    let composed = NewPassword::Plain(Secret::new("caf\u{e9}-au-1ait".to_owned()));
    let accounts = &world.services.accounts;
    accounts
        .change(
            "andr\u{e9}@example.com",
            AccountChange::SetPassword(composed),
            &tester(),
            &client(),
        )
        .await
        .unwrap();
    world
        .sign_in("Andre\u{301}@EXAMPLE.com", "cafe\u{301}-au-1ait")
        .await
        .unwrap();
}

#[tokio::test]
async fn s7_ten_failures_are_forgiven_and_eleven_lock() {
    let world = TestEnv::with_ann(|_| {}).await;
    for _ in 0..2 {
        world.fail(EMAIL, 10).await;
        world.sign_in(EMAIL, PASSWORD).await.unwrap();
    }
    world.fail(EMAIL, 11).await;
    let before = world.hashes();
    for password in [PASSWORD, "wrong"] {
        assert_eq!(world.lock(EMAIL, password).await, LOCK);
    }
    assert_eq!(world.hashes(), before);
}

#[tokio::test]
async fn s8_a_lock_lasts_its_time_and_no_longer() {
    let world = TestEnv::with_ann(|_| {}).await;
    world.fail(EMAIL, 11).await;
    world.hand.advance(LOCK.saturating_sub(Duration::from_secs(1)));
    assert_eq!(world.lock(EMAIL, PASSWORD).await, Duration::from_secs(1));
    world.hand.advance(Duration::from_secs(2));
    world.fail(EMAIL, 10).await;
    world.sign_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn s9_one_counter_however_a_name_is_written() {
    let world = TestEnv::with(with_username).await;
    world.add("zo\u{e9}@example.com", &[]).await;
    let spellings = [
        "zo\u{e9}@example.com",
        "ZOE\u{301}@Example.COM",
        " Zo\u{e9}@example.com ",
    ];
    for login in spellings {
        world.fail(login, 3).await;
    }
    // The username that is made from the address.
    world.fail("ZOE", 2).await;
    world.lock(spellings[0], PASSWORD).await;
}

#[tokio::test]
async fn s9_variants_of_an_unknown_name_count_together() {
    let world = TestEnv::with(with_username).await;
    for login in ["No\u{e9}@example.com", "NOE\u{301}@example.com"] {
        world.fail(login, 4).await;
    }
    world.fail("no\u{e9}@EXAMPLE.COM", 3).await;
    world.lock("no\u{e9}@example.com", "wrong").await;
    world.fail("Nobody At All", 6).await;
    world.fail("nobody at all ", 5).await;
    world.lock("NOBODY AT ALL", "wrong").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_of_fifty_parallel_wrong_tries_eleven_are_evaluated() {
    for login in [EMAIL, "nobody@example.com"] {
        let world = TestEnv::with_ann(|_| {}).await;
        let before = world.hashes();
        let results = join_all((0..50).map(|_| world.sign_in(login, "wrong"))).await;
        let locked = |result: &&Result<_, _>| matches!(result, Err(SignInError::Locked(_)));
        assert_eq!(results.iter().filter(locked).count(), 39);
        let wrong = |result: &&Result<_, _>| matches!(result, Err(SignInError::InvalidCredentials));
        assert_eq!(results.iter().filter(wrong).count(), 11);
        assert_eq!(world.hashes(), before + 11);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_fifty_parallel_right_ones_all_succeed() {
    let world = TestEnv::with_ann(|_| {}).await;
    let results = join_all((0..50).map(|_| world.sign_in(EMAIL, PASSWORD))).await;
    for result in results {
        result.unwrap();
    }
    world.fail(EMAIL, 11).await;
}

#[tokio::test]
async fn an_attempt_that_is_given_up_stays_counted_and_holds_nobody_up() {
    let world = TestEnv::with_ann(|_| {}).await;
    world.fail(EMAIL, 10).await;
    let hashing = world.hold_hashing();
    {
        let mut attempt = std::pin::pin!(world.sign_in(EMAIL, "wrong"));
        assert!(futures_util::poll!(&mut attempt).is_pending());
    }
    drop(hashing);
    world.lock(EMAIL, PASSWORD).await;
}

#[tokio::test]
async fn a_full_queue_counts_nothing() {
    let world = TestEnv::with_ann(|_| {}).await;
    let places: Vec<_> = std::iter::from_fn(|| world.services.hasher.try_acquire().ok()).collect();
    for _ in 0..20 {
        let result = world.sign_in(EMAIL, "wrong").await;
        assert!(matches!(result, Err(SignInError::Busy)), "{result:?}");
    }
    drop(places);
    world.fail(EMAIL, 10).await;
    world.sign_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn guesses_of_one_name_that_wait_leave_the_queue_to_others() {
    let world = TestEnv::with_ann(|_| {}).await;
    let free = world.services.hasher.free();
    let hashing = world.hold_hashing();
    let mut guesses: Vec<_> = (0..300)
        .map(|_| Box::pin(world.sign_in(EMAIL, "wrong")))
        .collect();
    for _ in 0..20 {
        for guess in &mut guesses {
            assert!(futures_util::poll!(guess).is_pending());
        }
        tokio::task::yield_now().await;
    }
    assert!(world.services.hasher.free() > free - 20, "eleven are evaluated");
    let mut other = std::pin::pin!(world.sign_in("nobody@example.com", "wrong"));
    assert!(
        futures_util::poll!(&mut other).is_pending(),
        "it waits for its hash"
    );
    drop(hashing);
    let refused = other.await;
    assert!(
        matches!(refused, Err(SignInError::InvalidCredentials)),
        "{refused:?}"
    );
    let results = join_all(guesses).await;
    let locked = |result: &&Result<_, _>| matches!(result, Err(SignInError::Locked(_)));
    assert_eq!(results.iter().filter(locked).count(), 289);
}

#[tokio::test]
async fn s12_a_lock_leaves_live_sessions_alone() {
    let world = TestEnv::with_ann(|_| {}).await;
    let signed_in = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    world.fail(EMAIL, 11).await;
    world.lock(EMAIL, PASSWORD).await;
    assert!(world.services.sessions.find(&signed_in.token.digest()).is_some());
}

#[tokio::test]
async fn s12_an_address_has_an_allowance_of_failures() {
    let world = TestEnv::with_ann(|config| {
        config.lockout.address_failures = 5;
        config.lockout.address_window = HumanDuration(Duration::from_mins(10));
    })
    .await;
    for n in 0..5 {
        world.sign_in(EMAIL, PASSWORD).await.unwrap();
        world.fail(&format!("nobody{n}@example.com"), 1).await;
    }
    let before = world.hashes();
    let result = world.sign_in(EMAIL, PASSWORD).await;
    let Err(SignInError::RateLimited(wait)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(world.hashes(), before);
    world.hand.advance(wait);
    world.sign_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn s78_of_many_guesses_at_one_moment_no_more_are_evaluated_than_an_address_may_fail() {
    let world = TestEnv::with_ann(|config| config.lockout.address_failures = 5).await;
    let before = world.hashes();
    let names: Vec<String> = (0..40).map(|n| format!("nobody{n}@example.com")).collect();
    let guesses = names.iter().map(|name| world.sign_in(name, "wrong"));
    let refused = join_all(guesses).await;
    let judged = refused
        .iter()
        .filter(|result| matches!(result, Err(SignInError::InvalidCredentials)));
    assert_eq!(judged.count(), 5);
    assert_eq!(world.hashes() - before, 5);
    let limited = refused
        .iter()
        .filter(|result| matches!(result, Err(SignInError::RateLimited(_))));
    assert_eq!(limited.count(), 35);
}

#[tokio::test]
async fn s13_s14_an_unknown_name_locks_like_a_known_one() {
    let world = TestEnv::with_ann(|_| {}).await;
    for login in [EMAIL, "nobody@example.com"] {
        world.fail(login, 11).await;
        assert_eq!(world.lock(login, "wrong").await, LOCK, "{login}");
    }
}

#[tokio::test]
async fn an_administrator_lifts_a_lock() {
    let world = TestEnv::with_ann(|_| {}).await;
    world.fail(EMAIL, 11).await;
    world.change(AccountChange::Unlock).await;
    world.sign_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn s17_only_an_active_account_gets_a_session_and_no_failure_is_counted() {
    let world = TestEnv::with_ann(|_| {}).await;
    for _ in 0..12 {
        world.set_status(AccountStatus::Disabled).await;
        assert!(matches!(
            world.sign_in(EMAIL, PASSWORD).await,
            Err(SignInError::Disabled)
        ));
        world.set_status(AccountStatus::Declined).await;
        assert!(matches!(
            world.sign_in(EMAIL, PASSWORD).await,
            Err(SignInError::NotApproved)
        ));
    }
    assert!(world.services.sessions.list(None).is_empty());
    world.change(AccountChange::Approve).await;
    world.sign_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn s17_an_account_disabled_while_its_password_is_hashed_gets_no_session() {
    let world = TestEnv::with_ann(|_| {}).await;
    let hashing = world.hold_hashing();
    let mut attempt = std::pin::pin!(world.sign_in(EMAIL, PASSWORD));
    // It takes its permit once it has read the account.
    let free = world.services.hasher.free();
    while world.services.hasher.free() == free {
        assert!(futures_util::poll!(&mut attempt).is_pending());
        tokio::task::yield_now().await;
    }
    world.change(AccountChange::Disable).await;
    drop(hashing);
    let outcome = attempt.await;
    assert!(matches!(outcome, Err(SignInError::Disabled)), "{outcome:?}");
    assert!(world.services.sessions.list(None).is_empty());
    assert!(world.store.sessions().await.unwrap().is_empty());
}

#[tokio::test]
async fn s27_a_sign_in_ends_the_session_that_came_with_it() {
    let world = TestEnv::with_ann(|_| {}).await;
    let first = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let password = Secret::new(PASSWORD.to_owned());
    let replaces = Some(first.token.digest());
    let service = &world.services.sign_in;
    let second = service
        .with_password(EMAIL, &password, false, &client(), replaces)
        .await
        .unwrap();
    assert_ne!(first.token.expose(), second.token.expose());
    assert!(first.session.ended().is_cancelled());
    assert!(world.services.sessions.find(&first.token.digest()).is_none());
    assert!(world.services.sessions.find(&second.token.digest()).is_some());
    assert_eq!(world.store.sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn s51_every_attempt_is_recorded_and_no_password_is() {
    let world = TestEnv::with_ann(|_| {}).await;
    world.fail(EMAIL, 11).await;
    world.lock(EMAIL, PASSWORD).await;
    let text = std::fs::read_to_string(world.audit_file()).unwrap();
    assert!(!text.contains(PASSWORD));
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
    assert_eq!((of("account-add"), of("sign-in"), of("lock")), (1, 12, 1));
    assert_eq!(lines.last().unwrap()["reason"], "locked");
    assert_eq!(lines.last().unwrap()["client"], "192.0.2.1");
}

#[tokio::test]
async fn s52_what_must_be_recorded_and_cannot_is_refused() {
    let world = TestEnv::with_ann(unwritable_audit_log).await;
    for password in [PASSWORD, "wrong"] {
        let result = world.sign_in(EMAIL, password).await;
        assert!(matches!(result, Err(SignInError::Unrecorded)), "{result:?}");
    }
    assert!(world.services.sessions.list(None).is_empty());
    assert!(world.store.sessions().await.unwrap().is_empty());
}

impl TestEnv {
    async fn fail_with(&self, login: &str, password: &str) {
        let result = self.sign_in(login, password).await;
        assert!(
            matches!(result, Err(SignInError::InvalidCredentials)),
            "{login:?}: {result:?}"
        );
    }

    async fn lock(&self, login: &str, password: &str) -> Duration {
        match self.sign_in(login, password).await {
            Err(SignInError::Locked(wait)) => wait,
            result => panic!("{login:?}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn the_session_that_a_sign_in_replaces_is_recorded_of_whom_it_was() {
    let world = TestEnv::with_ann(|_| {}).await;
    world.add("bob@example.com", &[]).await;
    let anns = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let (password, replaces) = (Secret::new(PASSWORD.to_owned()), Some(anns.token.digest()));
    let sign_in = &world.services.sign_in;
    let bobs = sign_in
        .with_password("bob@example.com", &password, false, &client(), replaces)
        .await
        .unwrap();
    assert!(anns.session.ended().is_cancelled());
    let events = world.events().await;
    let ended = events
        .iter()
        .find(|event| event.event == Kind::SessionEnd)
        .unwrap();
    assert_eq!(
        (ended.who.as_str(), ended.account),
        (EMAIL, Some(anns.account.id))
    );
    let detail = format!("session {}, replaced by {}", anns.session.id(), bobs.session.id());
    assert_eq!(ended.detail, Some(detail));
    let again = sign_in
        .with_password(EMAIL, &password, false, &client(), replaces)
        .await;
    again.unwrap();
    let events = world.events().await;
    let ended = events.iter().filter(|event| event.event == Kind::SessionEnd);
    assert_eq!(ended.count(), 1, "one that was over already is not ended");
}

#[tokio::test]
async fn s77_terms_are_not_agreed_to_by_a_password_that_is_no_longer_the_one() {
    const LATER: &str = "L4ter-harbour!";
    let world = TestEnv::with_ann(|config| {
        config.signup.terms_url = "https://example.com/terms".to_owned();
        config.signup.terms_version = "2".to_owned();
    })
    .await;
    let (sign_in, origin) = (&world.services.sign_in, client());
    let email = EMAIL.parse().unwrap();
    let proved = world.store.account_by_email(&email).await.unwrap().unwrap();
    assert!(matches!(
        world.sign_in(EMAIL, PASSWORD).await,
        Err(SignInError::MustAgree)
    ));
    world.hand.advance(Duration::from_secs(1));
    world
        .change(AccountChange::SetPassword(NewPassword::Plain(Secret::new(
            LATER.to_owned(),
        ))))
        .await;
    let agreed = sign_in.agree(proved, true, &origin).await;
    assert!(
        matches!(agreed, Err(SignInError::InvalidCredentials)),
        "{agreed:?}"
    );
    let now = world.store.account_by_email(&email).await.unwrap().unwrap();
    assert!(now.agreements.is_empty());
    let signed_in = sign_in
        .with_password(EMAIL, &Secret::new(LATER.to_owned()), true, &origin, None)
        .await;
    assert_eq!(signed_in.unwrap().account.agreements.len(), 1);
}
