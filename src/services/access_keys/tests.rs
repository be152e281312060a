use std::time::Duration;

use super::super::test_support::{EMAIL, PASSWORD, TestEnv, client, tester};
use super::super::{AccountChange, Services};
use super::*;
use crate::store::UpdateAccount;

async fn create(world: &TestEnv, new: NewAccessKey) -> (AccessKey, SecretKey) {
    let owner = world.services.accounts.find(EMAIL).await.unwrap();
    let keys = &world.services.access_keys;
    keys.create(&owner, new, &tester(), &client()).await.unwrap()
}

async fn change(world: &TestEnv, id: AccessKeyId, change: AccessKeyChange) {
    let keys = &world.services.access_keys;
    keys.change(id, None, change, &tester(), &client()).await.unwrap();
}

fn is_live(services: &Services, id: AccessKeyId) -> bool {
    services.access_keys.find(&id).is_some()
}

#[tokio::test]
async fn a_key_serves_from_its_making_and_after_a_restart() {
    let world = TestEnv::with_ann(|_| {}).await;
    let (key, secret) = create(&world, NewAccessKey::default()).await;
    let restarted = world.restarted(4).await;
    for services in [&world.services, &restarted] {
        let live = services.access_keys.find(&key.id).unwrap();
        assert!(live.secret().matches(secret.expose().as_bytes()));
        assert_eq!(live.principal().email.as_str(), EMAIL);
        assert_eq!(live.principal().method.as_str(), "iam");
        assert!(live.may_use("localhost/", "DELETE"));
    }
    let record = std::fs::read_to_string(world.audit_file()).unwrap();
    assert!(record.contains("access-key-create") && record.contains(key.id.as_str()));
    assert!(!record.contains(secret.expose()));
}

#[tokio::test]
async fn two_keys_serve_until_one_is_revoked() {
    let world = TestEnv::with_ann(|config| config.login.access_keys = 2).await;
    let (old, _) = create(&world, NewAccessKey::default()).await;
    let (new, _) = create(&world, NewAccessKey::default()).await;
    assert!(is_live(&world.services, old.id) && is_live(&world.services, new.id));
    let owner = world.services.accounts.find(EMAIL).await.unwrap();
    let keys = &world.services.access_keys;
    let third = keys
        .create(&owner, NewAccessKey::default(), &tester(), &client())
        .await;
    assert!(matches!(third, Err(AccessKeyError::TooMany(2))));

    let ended = keys.find(&old.id).unwrap().ended();
    change(&world, old.id, AccessKeyChange::Revoke).await;
    assert!(!is_live(&world.services, old.id) && is_live(&world.services, new.id));
    assert!(ended.is_cancelled());
    assert!(!is_live(&world.restarted(4).await, old.id));
}

#[tokio::test]
async fn a_key_that_is_off_or_expired_serves_nobody() {
    let world = TestEnv::with_ann(|_| {}).await;
    let hour = NewAccessKey {
        ttl: Some(Duration::from_hours(1)),
        ..NewAccessKey::default()
    };
    let (key, _) = create(&world, hour).await;
    change(&world, key.id, AccessKeyChange::Disable).await;
    assert!(!is_live(&world.services, key.id));
    change(&world, key.id, AccessKeyChange::Enable).await;
    assert!(is_live(&world.services, key.id));

    world.hand.advance(Duration::from_secs(3599));
    let live = world.services.access_keys.find(&key.id).unwrap();
    world.hand.advance(Duration::from_secs(1));
    assert!(!is_live(&world.services, key.id));
    assert!(!live.ended().is_cancelled());
    world.services.access_keys.sweep().await;
    assert!(live.ended().is_cancelled());
}

#[tokio::test]
async fn s17_only_an_account_that_may_sign_in_has_keys_that_serve() {
    let world = TestEnv::with_ann(|config| config.signup.verify_email = true).await;
    let (key, _) = create(&world, NewAccessKey::default()).await;
    let live = world.services.access_keys.find(&key.id).unwrap();
    let serves_nobody = async || {
        assert!(!is_live(&world.services, key.id));
        assert!(!is_live(&world.restarted(4).await, key.id));
    };
    world.change(AccountChange::Disable).await;
    serves_nobody().await;
    world.change(AccountChange::Enable).await;
    assert!(is_live(&world.services, key.id));
    for status in [AccountStatus::AwaitingApproval, AccountStatus::Declined] {
        world.set_status(status).await;
        serves_nobody().await;
    }
    world.change(AccountChange::Approve).await;
    assert!(is_live(&world.services, key.id));
    assert!(live.ended().is_cancelled(), "what went on with it ended");

    let account = world.services.accounts.find(EMAIL).await.unwrap();
    let unverified = Account {
        email_verified: false,
        ..account.clone()
    };
    let updated = world.store.update_account(&account, unverified).await;
    assert_eq!(updated.unwrap(), UpdateAccount::Updated);
    world.services.access_keys.refresh(account.id).await;
    assert!(!is_live(&world.services, key.id));

    world
        .services
        .accounts
        .delete(EMAIL, &tester(), &Origin::default())
        .await
        .unwrap();
    assert!(
        world
            .services
            .access_keys
            .list(None)
            .await
            .unwrap()
            .sound
            .is_empty()
    );
}

#[tokio::test]
async fn a_key_follows_its_owners_groups_and_streams_go_on() {
    let world = TestEnv::with_ann(|_| {}).await;
    let (key, _) = create(&world, NewAccessKey::default()).await;
    let before = world.services.access_keys.find(&key.id).unwrap();
    world
        .change(AccountChange::SetGroups(["ops".to_owned()].into()))
        .await;
    let after = world.services.access_keys.find(&key.id).unwrap();
    assert!(after.principal().groups.contains("ops"));
    assert!(!before.ended().is_cancelled() && !after.ended().is_cancelled());
}

#[tokio::test]
async fn the_last_use_is_listed_at_once_and_stored_in_time() {
    let world = TestEnv::with_ann(|_| {}).await;
    let keys = &world.services.access_keys;
    let (key, _) = create(&world, NewAccessKey::default()).await;
    let live = keys.find(&key.id).unwrap();
    world.hand.advance(Duration::from_secs(5));
    keys.used(&live, Some([192, 0, 2, 7].into()), &"x".repeat(300));
    // Within a second no other use is noted.
    keys.used(&live, None, "other");
    let listed = keys.list(None).await.unwrap().sound.remove(0);
    let last_use = listed.key.last_use.unwrap();
    assert_eq!(last_use.client, "x".repeat(256));
    assert_eq!(last_use.at, world.clock.now());
    assert_eq!(world.store.access_keys(None).await.unwrap()[0].last_use, None);

    keys.write_uses().await;
    assert_eq!(
        world.store.access_keys(None).await.unwrap()[0].last_use,
        Some(last_use)
    );
    assert!(live.life().unstored().is_none());
}

#[tokio::test]
async fn only_the_owner_changes_a_key() {
    let world = TestEnv::with_ann(|_| {}).await;
    let bob = world.add("bob@example.com", &[]).await;
    let (key, _) = create(&world, NewAccessKey::default()).await;
    let keys = &world.services.access_keys;
    let revoke = AccessKeyChange::Revoke;
    let refused = keys
        .change(key.id, Some(bob.id), revoke, &tester(), &client())
        .await;
    assert!(matches!(refused, Err(AccessKeyError::NotFound(_))));
    assert!(is_live(&world.services, key.id));
    keys.change(key.id, Some(key.account), revoke, &tester(), &client())
        .await
        .unwrap();
    assert!(!is_live(&world.services, key.id));
}

#[tokio::test]
async fn a_name_is_short_and_printable() {
    let world = TestEnv::with_ann(|_| {}).await;
    let owner = world.services.accounts.find(EMAIL).await.unwrap();
    for name in [
        "a\nb".to_owned(),
        "가".repeat(65),
        "\u{200b}".to_owned(),
        "\u{feff}".to_owned(),
        "a\u{202e}b".to_owned(),
    ] {
        let new = NewAccessKey {
            name,
            ..NewAccessKey::default()
        };
        let keys = &world.services.access_keys;
        let refused = keys.create(&owner, new, &tester(), &client()).await;
        assert!(matches!(refused, Err(AccessKeyError::Name)));
    }
}

#[tokio::test]
async fn s17_a_configuration_that_wants_addresses_verified_holds_for_keys_at_once() {
    let world = TestEnv::with_ann(|_| {}).await;
    let (key, _) = create(&world, NewAccessKey::default()).await;
    let account = world.services.accounts.find(EMAIL).await.unwrap();
    let unverified = Account {
        email_verified: false,
        ..account.clone()
    };
    let updated = world.store.update_account(&account, unverified).await;
    assert_eq!(updated.unwrap(), UpdateAccount::Updated);
    let keys = &world.services.access_keys;
    keys.refresh(account.id).await;
    assert!(is_live(&world.services, key.id));
    let mut stricter = world.config.clone();
    stricter.signup.verify_email = true;
    keys.reload(&stricter);
    assert!(!is_live(&world.services, key.id));
    keys.reload(&world.config);
    assert!(is_live(&world.services, key.id));
}

#[tokio::test]
async fn s17_who_leaves_takes_the_keys_along() {
    let world = TestEnv::with_ann(|_| {}).await;
    let (key, _) = create(&world, NewAccessKey::default()).await;
    let own = &world.services.account_settings;
    let session = world.sign_in(EMAIL, PASSWORD).await.unwrap().session;
    let renamed = own.change_name(&session, "Ann Lee", &client()).await;
    assert_eq!(renamed.unwrap().name.as_deref(), Some("Ann Lee"));
    let live = world.services.access_keys.find(&key.id).unwrap();
    assert_eq!(live.principal().name, "Ann Lee");

    let password = crate::secret::Secret::new(PASSWORD.to_owned());
    own.delete(&session, &password, &client()).await.unwrap();
    assert!(!is_live(&world.services, key.id));
    assert!(live.ended().is_cancelled());
}

#[tokio::test]
async fn a_clock_that_is_set_makes_no_key_last_longer_and_ends_none_for_good() {
    let hour = Duration::from_hours(1);
    let world = TestEnv::with_ann(|_| {}).await;
    let noon = world.clock.now();
    let new = || NewAccessKey {
        ttl: Some(hour),
        ..NewAccessKey::default()
    };
    let keys = &world.services.access_keys;
    let (key, _) = create(&world, new()).await;
    world.hand.set_wall(noon + 24 * hour);
    let (ahead, _) = create(&world, new()).await;
    assert!(!is_live(&world.services, key.id), "it has expired, by this clock");
    keys.sweep().await;
    world.hand.set_wall(noon + hour / 4);
    keys.sweep().await;
    let live = keys.find(&key.id).unwrap();
    assert!(!live.has_ended(), "it signs in again, and streams go on");
    assert!(is_live(&world.services, ahead.id));
    world.hand.advance(hour / 2);
    assert!(is_live(&world.services, key.id) && is_live(&world.services, ahead.id));
    let restarted = world.restarted(4).await;
    assert!(!is_live(&restarted, ahead.id), "nobody knows how old it is");
    let listed = restarted.access_keys.list(None).await.unwrap().sound;
    let is_off = |info: &&AccessKeyInfo| info.key.id == ahead.id && info.key.disabled;
    assert!(listed.iter().any(|info| is_off(&info)), "its owner sees why");
    world.hand.advance(hour / 2);
    assert!(!is_live(&world.services, ahead.id), "its hour is over");
    assert!(!is_live(&world.services, key.id));
    assert!(
        !is_live(&world.restarted(5).await, ahead.id),
        "however often it starts"
    );

    world.hand.set_wall(noon);
    keys.sweep().await;
    let ann = world.account(EMAIL).await;
    keys.refresh(ann.id).await;
    assert!(
        !is_live(&world.services, key.id),
        "a clock that is set back revives none"
    );
}

#[tokio::test]
async fn a_key_from_the_future_is_no_younger_than_a_password() {
    let world = TestEnv::with_ann(|_| {}).await;
    let noon = world.clock.now();
    let day = Duration::from_hours(24);
    world.hand.set_wall(noon + day);
    let (key, _) = create(&world, NewAccessKey::default()).await;
    world.hand.set_wall(noon + Duration::from_mins(1));
    let password = Secret::new(PASSWORD.to_owned());
    let set = AccountChange::SetPassword(crate::services::NewPassword::Plain(password));
    let account = world.change(set).await;
    let older = world.services.access_keys.older_than_password(&account).await;
    let older: Vec<_> = older.unwrap().iter().map(|info| info.key.id).collect();
    assert_eq!(older, [key.id]);
}

#[tokio::test]
async fn s28_a_session_ends_with_a_key_whose_end_the_store_could_not_keep() {
    let world = TestEnv::with_ann(|_| {}).await;
    let (key, secret) = create(&world, NewAccessKey::default()).await;
    let answer = crate::services::KeyCredential::Secret(Secret::new(secret.expose().to_owned()));
    let service = &world.services.key_sign_in;
    let with_key = async || {
        let origin = client();
        service
            .with_key(key.id.as_str(), &answer, false, &origin, None)
            .await
    };
    let begun = with_key().await.unwrap();
    let keys = &world.services.access_keys;
    let error = StoreError::Unavailable("disk full".to_owned());
    keys.shut_out(key.id, Kind::AccessKeyDisable, &error, &tester(), &client());
    assert!(begun.session.has_ended());
    assert!(with_key().await.is_err());
    keys.store_revocations().await;
    assert_eq!(world.store.sessions().await.unwrap(), []);
    assert!(world.store.access_keys(None).await.unwrap()[0].disabled);
}

#[tokio::test]
async fn s49_no_weaker_change_takes_back_a_revocation_that_memory_holds() {
    let world = TestEnv::with_ann(|_| {}).await;
    let ann = world.account(EMAIL).await;
    let keys = &world.services.access_keys;
    let hold = |id, kind| {
        let error = StoreError::Unavailable("the database is gone".to_owned());
        keys.shut_out(id, kind, &error, &tester(), &client());
    };
    let change = async |id, owner, change| keys.change(id, owner, change, &tester(), &client()).await;
    for (owner, weaker) in [
        (Some(ann.id), AccessKeyChange::Disable),
        (Some(ann.id), AccessKeyChange::Enable),
        (None, AccessKeyChange::Disable),
        (None, AccessKeyChange::Enable),
    ] {
        let (key, _) = create(&world, NewAccessKey::default()).await;
        hold(key.id, Kind::AccessKeyRevoke);
        // What came later is less, and is held by what came before.
        hold(key.id, Kind::AccessKeyDisable);
        let done = change(key.id, owner, weaker).await;
        assert!(matches!(done, Err(AccessKeyError::NotFound(_))), "{done:?}");
        let again = change(key.id, owner, AccessKeyChange::Enable).await;
        assert!(matches!(again, Err(AccessKeyError::NotFound(_))), "{again:?}");
        assert!(!is_live(&world.services, key.id));
        assert_eq!(world.store.access_keys(None).await.unwrap(), []);
        let newest = world.events().await.remove(0);
        assert_eq!(newest.event, Kind::AccessKeyRevoke, "{newest:?}");
    }
}

#[tokio::test]
async fn s49_a_key_that_is_enabled_again_is_so_after_what_memory_held() {
    let world = TestEnv::with_ann(|_| {}).await;
    let (key, _) = create(&world, NewAccessKey::default()).await;
    let ann = world.account(EMAIL).await;
    let keys = &world.services.access_keys;
    let error = StoreError::Unavailable("the database is gone".to_owned());
    keys.shut_out(key.id, Kind::AccessKeyDisable, &error, &tester(), &client());
    let (owner, by, origin) = (Some(ann.id), tester(), client());
    let enable = keys.change(key.id, owner, AccessKeyChange::Enable, &by, &origin);
    assert!(!enable.await.unwrap().disabled);
    keys.store_revocations().await;
    assert!(!world.store.access_keys(None).await.unwrap()[0].disabled);
    assert!(is_live(&world.services, key.id));
    let events = world.events().await;
    let kinds: Vec<_> = events.iter().take(2).map(|event| event.event).collect();
    assert_eq!(kinds, [Kind::AccessKeyEnable, Kind::AccessKeyDisable]);
}
