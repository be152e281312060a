use std::time::Duration;

use super::*;
use crate::model::AccountStatus;
use crate::services::LONGEST_NAME;
use crate::services::change_rate_limiter::CHANGES;
use crate::services::test_support::{EMAIL, PASSWORD, TestEnv, client};
use crate::services::{
    AccessKeyChange, AccessKeyError, AccountChange, NewAccessKey, NewPassword, PasswordRule, SignedIn,
};

const NEW: &str = "N3w-horizon!";
const LASTS: Duration = Duration::from_mins(15);

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn form(current: &str, password: &str, again: &str) -> PasswordForm {
    PasswordForm {
        current: secret(current),
        password: secret(password),
        password_confirm: secret(again),
    }
}

async fn world_and_session() -> (TestEnv, SignedIn) {
    let world = TestEnv::with_ann(|config| config.admin.group = "admins".to_owned()).await;
    let signed_in = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    (world, signed_in)
}

#[tokio::test]
async fn s28_a_new_password_ends_the_other_sessions_and_serves_from_now_on() {
    let (world, this) = world_and_session().await;
    let other = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let own = &world.services.account_settings;
    let changed = own
        .change_password(&this.session, &form(PASSWORD, NEW, NEW), &client())
        .await
        .unwrap();
    assert_eq!(changed.password_changed_at, world.clock.now());
    let sessions = &world.services.sessions;
    assert!(sessions.find(&this.token.digest()).is_some());
    assert!(sessions.find(&other.token.digest()).is_none());
    assert!(other.session.ended().is_cancelled());
    assert!(world.sign_in(EMAIL, PASSWORD).await.is_err());
    world.sign_in(EMAIL, NEW).await.unwrap();
}

#[tokio::test]
async fn s77_a_password_that_the_old_one_proved_never_overwrites_a_later_one() {
    const LATER: &str = "L4ter-harbour!";
    for _ in 0..8 {
        let (world, this) = world_and_session().await;
        let (own, origin) = (&world.services.account_settings, client());
        world.hand.advance(Duration::from_secs(1));
        let typed = form(PASSWORD, NEW, NEW);
        let stale = own.change_password(&this.session, &typed, &origin);
        let (stale, _) = tokio::join!(
            stale,
            world.change(AccountChange::SetPassword(NewPassword::Plain(secret(LATER))))
        );
        assert!(world.sign_in(EMAIL, LATER).await.is_ok(), "{stale:?}");
    }
}

#[tokio::test]
async fn s78_of_many_renames_at_one_moment_five_give_a_former_username() {
    let world = TestEnv::with_ann(|config| config.login.change_username = true).await;
    let this = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let (own, origin, password) = (&world.services.account_settings, client(), secret(PASSWORD));
    let names: Vec<String> = (0..20).map(|n| format!("name-{n}")).collect();
    let renames = names
        .iter()
        .map(|name| own.change_username(&this.session, name, &password, &origin));
    futures_util::future::join_all(renames).await;
    let account = own.find(this.account.id).await.unwrap();
    assert!(
        account.former_usernames.len() <= MOST_FORMER_USERNAMES,
        "{account:?}"
    );
}

#[tokio::test]
async fn s1_s2_a_new_password_obeys_the_rules_of_signup_before_anything_is_hashed() {
    let (world, this) = world_and_session().await;
    let before = world.hashes();
    for (password, again, field, fault) in [
        (
            "short-1",
            "short-1",
            SignUpField::Password,
            FieldError::Password(PasswordRule::TooShort(8)),
        ),
        (
            "ann@example.com-1X",
            "ann@example.com-1X",
            SignUpField::Password,
            FieldError::Password(PasswordRule::Personal),
        ),
        (
            "1qaz@wsx",
            "1qaz@wsx",
            SignUpField::Password,
            FieldError::Password(PasswordRule::Common),
        ),
        (
            NEW,
            "another",
            SignUpField::PasswordConfirm,
            FieldError::PasswordsDiffer,
        ),
        (NEW, "", SignUpField::PasswordConfirm, FieldError::Required),
    ] {
        let changed = world
            .services
            .account_settings
            .change_password(&this.session, &form(PASSWORD, password, again), &client())
            .await;
        let Err(AccountSettingsError::Password(faults)) = changed else {
            panic!("{password}: {changed:?}")
        };
        assert!(faults.contains(&(field, fault)), "{password}: {faults:?}");
    }
    assert_eq!(world.hashes(), before);
}

#[tokio::test]
async fn s9_the_password_asked_again_counts_with_the_sign_ins() {
    let (world, this) = world_and_session().await;
    world.fail(EMAIL, 5).await;
    let prove = async |password: &str| {
        let sign_in = &world.services.sign_in;
        sign_in
            .reauthenticate(&this.session, &secret(password), &client())
            .await
    };
    for n in 6..=11 {
        let proved = prove("wrong").await;
        assert!(
            matches!(proved, Err(SignInError::InvalidCredentials)),
            "{n}: {proved:?}"
        );
    }
    assert!(matches!(prove(PASSWORD).await, Err(SignInError::Locked(_))));
    let signed_in = world.sign_in(EMAIL, PASSWORD).await;
    assert!(matches!(signed_in, Err(SignInError::Locked(_))), "{signed_in:?}");
    let sessions = &world.services.sessions;
    assert!(
        sessions.find(&this.token.digest()).is_some(),
        "who is signed in stays so"
    );
    world.change(AccountChange::Unlock).await;
    prove(PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_proof_grows_old_and_outlives_a_restart() {
    let (world, this) = world_and_session().await;
    let sessions = &world.services.sessions;
    world.hand.advance(Duration::from_secs(15 * 60 - 1));
    assert!(sessions.is_proved(&this.session, LASTS));
    world.hand.advance(Duration::from_secs(1));
    assert!(!sessions.is_proved(&this.session, LASTS));

    let sign_in = &world.services.sign_in;
    sign_in
        .reauthenticate(&this.session, &secret(PASSWORD), &client())
        .await
        .unwrap();
    assert!(sessions.is_proved(&this.session, LASTS));
    let restarted = world.restarted(4).await;
    let again = restarted.sessions.find(&this.token.digest()).unwrap();
    assert!(restarted.sessions.is_proved(&again, LASTS));

    world.hand.set_wall("2025-12-31T00:00:00Z".parse().unwrap());
    assert!(
        !sessions.is_proved(&this.session, LASTS),
        "a clock that was set back proves nothing"
    );
}

#[tokio::test]
async fn a_name_is_shown_at_once_and_has_its_limits() {
    let (world, this) = world_and_session().await;
    let own = &world.services.account_settings;
    own.change_name(&this.session, "  김미나 ", &client())
        .await
        .unwrap();
    assert_eq!(this.session.principal().name, "김미나");
    for name in ["a\nb", "a\u{202e}b", &"x".repeat(LONGEST_NAME + 1)] {
        let refused = own.change_name(&this.session, name, &client()).await;
        assert!(matches!(refused, Err(AccountSettingsError::Name)), "{refused:?}");
    }
    own.change_name(&this.session, "Ann, all", &client())
        .await
        .unwrap();
    own.change_name(&this.session, "", &client()).await.unwrap();
    assert_eq!(this.session.principal().name, "ann");
    let events = world.events().await;
    let details: Vec<_> = events[..3]
        .iter()
        .rev()
        .map(|event| event.detail.as_deref())
        .collect();
    assert_eq!(
        details,
        [
            Some("new name 김미나"),
            Some(r"old name 김미나, new name Ann\, all"),
            Some(r"old name Ann\, all"),
        ],
        "a name cannot look like another fact"
    );
}

#[tokio::test]
async fn cheap_changes_have_a_limit_an_account_whatever_is_sent_in_parallel() {
    let (world, this) = world_and_session().await;
    world.add("bob@example.com", &[]).await;
    let theirs = world.sign_in("bob@example.com", PASSWORD).await.unwrap();
    let (own, origin) = (&world.services.account_settings, client());
    let names: Vec<String> = (0..CHANGES + 20).map(|n| format!("Ann {n}")).collect();
    let asked = names
        .iter()
        .map(|name| own.change_name(&this.session, name, &origin));
    let changed = futures_util::future::join_all(asked).await;
    let refused = changed
        .iter()
        .filter(|changed| matches!(changed, Err(AccountSettingsError::TooOften(_))));
    assert_eq!(refused.count(), 20);

    let Err(AccountSettingsError::TooOften(limited)) =
        own.change_language(&this.session, "ko", &origin).await
    else {
        panic!("all that is cheap is counted together")
    };
    let keys = &world.services.access_keys;
    let (account, owner) = (
        own.find(this.account.id).await.unwrap(),
        Actor::owner(&this.session, None),
    );
    let key = keys
        .create(&account, NewAccessKey::default(), &owner, &origin)
        .await;
    assert!(matches!(key, Err(AccessKeyError::TooOften(_))), "{key:?}");
    let name = this.session.principal().name.clone();
    own.change_name(&this.session, &name, &origin).await.unwrap();
    own.change_name(&theirs.session, "Bob", &origin).await.unwrap();
    world
        .change(AccountChange::SetGroups(["ops".to_owned()].into()))
        .await;
    own.change_password(&this.session, &form(PASSWORD, NEW, NEW), &origin)
        .await
        .unwrap();

    world.hand.advance(limited.wait);
    own.change_language(&this.session, "ko", &origin).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_switched_off_and_on_for_ever_is_limited_and_off_is_never_refused() {
    let (world, this) = world_and_session().await;
    let (keys, origin) = (&world.services.access_keys, client());
    let owner = Actor::owner(&this.session, None);
    let created = keys.create(&this.account, NewAccessKey::default(), &owner, &origin);
    let (key, _) = created.await.unwrap();
    let change = async |change| {
        keys.change(key.id, Some(key.account), change, &owner, &origin)
            .await
    };
    for _ in 1..CHANGES {
        change(AccessKeyChange::Disable).await.unwrap();
        change(AccessKeyChange::Enable).await.unwrap();
    }
    for _ in 0..3 {
        change(AccessKeyChange::Disable).await.unwrap();
    }
    let refused = change(AccessKeyChange::Enable).await;
    assert!(matches!(refused, Err(AccessKeyError::TooOften(_))), "{refused:?}");
    let record = std::fs::read_to_string(world.audit_file()).unwrap();
    let off = record.lines().filter(|line| line.contains("access-key-disable"));
    assert_eq!(off.count(), CHANGES, "what is so already is no event");
    change(AccessKeyChange::Revoke).await.unwrap();
}

#[tokio::test]
async fn only_own_sessions_can_be_ended() {
    let (world, this) = world_and_session().await;
    let bob = world.add("bob@example.com", &[]).await;
    let theirs = world.sign_in("bob@example.com", PASSWORD).await.unwrap();
    let other = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let own = &world.services.account_settings;
    assert!(
        !own.end_session(&this.session, theirs.session.id(), &client())
            .await
            .unwrap()
    );
    assert!(
        own.end_session(&this.session, other.session.id(), &client())
            .await
            .unwrap()
    );
    world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let ended = own.end_other_sessions(&this.session, &client()).await;
    assert_eq!(ended.unwrap(), 1);
    let sessions = &world.services.sessions;
    assert!(sessions.find(&this.token.digest()).is_some());
    assert_eq!(sessions.list(Some(bob.id)).len(), 1);
}

#[tokio::test]
async fn s53_who_leaves_takes_the_username_along_and_the_last_administrator_stays() {
    let (world, this) = world_and_session().await;
    world
        .change(AccountChange::SetGroups(["admins".to_owned()].into()))
        .await;
    let own = &world.services.account_settings;
    let delete = async |password: &str| own.delete(&this.session, &secret(password), &client()).await;
    assert!(matches!(
        delete("wrong").await,
        Err(AccountSettingsError::NotProved(SignInError::InvalidCredentials))
    ));
    assert!(matches!(
        delete(PASSWORD).await,
        Err(AccountSettingsError::LastAdministrator)
    ));
    let deputy = world.add("deputy@example.com", &["admins"]).await;
    assert_eq!(deputy.status, AccountStatus::Active);
    delete(PASSWORD).await.unwrap();
    assert!(this.session.ended().is_cancelled());
    assert!(world.sign_in(EMAIL, PASSWORD).await.is_err());
    let again = world
        .services
        .sign_up
        .sign_up(
            crate::services::test_support::form("new@example.com", "ann", PASSWORD),
            &client(),
        )
        .await;
    assert!(again.is_err(), "the username was given again");
}
