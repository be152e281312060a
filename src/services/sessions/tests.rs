use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::{HumanDuration, SignupMode};
use crate::model::SignatureDigest;
use crate::services::test_support::{EMAIL, PASSWORD, TestEnv, client, form, group_set};
use crate::services::{AccountChange, SignUpNext};
use crate::store::SpendSignature;

const MINUTE: Duration = Duration::from_mins(1);

async fn world() -> TestEnv {
    TestEnv::with_ann(|config| {
        config.session.idle = HumanDuration(10 * MINUTE);
        config.session.absolute = HumanDuration(60 * MINUTE);
    })
    .await
}

#[tokio::test]
async fn s29_an_unused_session_ends() {
    let world = world().await;
    let signed_in = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let (sessions, digest) = (&world.services.sessions, signed_in.token.digest());
    for _ in 0..5 {
        world.hand.advance(9 * MINUTE);
        assert!(sessions.find(&digest).is_some());
    }
    world.hand.advance(9 * MINUTE);
    assert!(sessions.peek(&digest).is_some());
    world.hand.advance(MINUTE);
    assert!(sessions.find(&digest).is_none());
    assert!(signed_in.session.ended().is_cancelled());
    world.hand.set_wall("2026-01-01T00:00:00Z".parse().unwrap());
    assert!(sessions.find(&digest).is_none(), "what ended stays ended");
}

#[tokio::test]
async fn s29_a_session_ends_however_much_it_is_used() {
    let world = world().await;
    let signed_in = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let digest = signed_in.token.digest();
    for _ in 0..59 {
        world.hand.advance(MINUTE);
        assert!(world.services.sessions.find(&digest).is_some());
    }
    let end = signed_in.session.principal().expires_at;
    assert_eq!(end, world.clock.now() + MINUTE);
    world.hand.advance(MINUTE);
    assert!(world.services.sessions.find(&digest).is_none());
}

#[tokio::test]
async fn a_session_outlives_a_restart_with_its_last_use() {
    let world = world().await;
    let signed_in = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let digest = signed_in.token.digest();
    world.hand.advance(9 * MINUTE);
    world.services.sessions.find(&digest).unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    world.services.sessions.run_maintenance(stop).await;
    world.hand.advance(9 * MINUTE);
    let restarted = world.restarted(4).await;
    let found = restarted.sessions.find(&digest).unwrap();
    assert_eq!(found.id(), signed_in.session.id());
    assert_eq!(found.principal().email.as_str(), EMAIL);
}

#[tokio::test]
async fn what_may_not_go_on_is_dropped_at_a_restart() {
    let world = world().await;
    let signed_in = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let account = &signed_in.account;
    let disabled = Account {
        status: AccountStatus::Disabled,
        ..account.clone()
    };
    world.store.update_account(account, disabled).await.unwrap();
    let restarted = world.restarted(4).await;
    assert!(restarted.sessions.find(&signed_in.token.digest()).is_none());
    assert!(world.store.sessions().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn s28_streams_of_a_session_whose_time_is_over_end_by_themselves() {
    let world = world().await;
    let signed_in = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let stop = CancellationToken::new();
    let sessions = world.services.sessions.clone();
    let keeper = tokio::spawn({
        let stop = stop.clone();
        async move { sessions.run_maintenance(stop).await }
    });
    world.hand.advance(10 * MINUTE);
    let ended = signed_in.session.ended();
    tokio::time::timeout(Duration::from_secs(5), ended.cancelled())
        .await
        .unwrap();
    stop.cancel();
    keeper.await.unwrap();
    assert!(world.store.sessions().await.unwrap().is_empty());
    assert!(world.services.sessions.live.is_empty());
    assert!(world.services.sessions.index().is_empty());
}

#[tokio::test]
async fn s28_disabling_and_a_new_password_end_all_sessions_of_an_account() {
    let world = world().await;
    world.add("bob@example.com", &[]).await;
    let bob = world.sign_in("bob@example.com", PASSWORD).await.unwrap();
    let new_password = || {
        let password = crate::secret::Secret::new(PASSWORD.to_owned());
        AccountChange::SetPassword(crate::services::NewPassword::Plain(password))
    };
    for change in [AccountChange::Disable, new_password()] {
        world.change(AccountChange::Enable).await;
        let ann = world.sign_in(EMAIL, PASSWORD).await.unwrap();
        world.change(change).await;
        assert!(ann.session.ended().is_cancelled());
        assert!(world.services.sessions.find(&ann.token.digest()).is_none());
    }
    assert!(world.services.sessions.find(&bob.token.digest()).is_some());
    assert_eq!(world.store.sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn sessions_are_listed_newest_first_and_ended_one_by_one() {
    let world = world().await;
    let older = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    world.hand.advance(MINUTE);
    let newer = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let sessions = &world.services.sessions;
    let ids = |list: Vec<SessionInfo>| list.iter().map(|info| info.session.id).collect::<Vec<_>>();
    assert_eq!(
        ids(sessions.list(Some(older.account.id))),
        [newer.session.id(), older.session.id()]
    );
    assert_eq!(sessions.list(None)[0].expires_at, world.clock.now() + 10 * MINUTE);

    let except = SessionsToEnd::Account(older.account.id, Some(newer.token.digest()));
    assert_eq!(sessions.end(except).await.unwrap(), 1);
    assert_eq!(ids(sessions.list(None)), [newer.session.id()]);
    assert_eq!(
        sessions.end(SessionsToEnd::Id(older.session.id())).await.unwrap(),
        0
    );
    assert_eq!(
        sessions.end(SessionsToEnd::Id(newer.session.id())).await.unwrap(),
        1
    );
    assert!(newer.session.ended().is_cancelled());
}

#[tokio::test]
async fn new_groups_reach_live_sessions() {
    let world = world().await;
    let ann = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    world.change(AccountChange::SetGroups(group_set(&["ops"]))).await;
    let found = world.services.sessions.find(&ann.token.digest()).unwrap();
    assert_eq!(found.principal().groups, group_set(&["ops"]));
}

#[tokio::test]
async fn s17_when_addresses_must_be_proven_sessions_of_those_that_are_not_end() {
    let mut world = TestEnv::with(|config| config.signup.mode = SignupMode::Open).await;
    world.add("bob@example.com", &[]).await;
    let (filled, from) = (form(EMAIL, "ann", PASSWORD), client());
    let signed_up = world.services.sign_up.sign_up(filled, &from);
    assert_eq!(signed_up.await.unwrap(), SignUpNext::Login);
    let ann = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let bob = world.sign_in("bob@example.com", PASSWORD).await.unwrap();
    world.config.signup.verify_email = true;
    world.services.apply_config(&world.config);
    let sessions = &world.services.sessions;
    assert!(sessions.find(&ann.token.digest()).is_none() && ann.session.ended().is_cancelled());
    assert!(sessions.find(&bob.token.digest()).is_some());
    // A sign-in that was admitted before that, and completes after it.
    assert!(world.sign_in(EMAIL, PASSWORD).await.is_err());
    assert_eq!(sessions.list(None).len(), 1);
    // And a gateway that starts finds the store as it was.
    let now = world.clock.now();
    drop((ann, bob));
    let world = world.reopened(now).await;
    assert_eq!(world.services.sessions.list(None).len(), 1);
}

#[tokio::test]
async fn s76_a_change_that_comes_late_brings_no_groups_back() {
    let world = TestEnv::with_ann(|_| {}).await;
    world.change(AccountChange::SetGroups(group_set(&["ops"]))).await;
    let ann = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let stale = world.account(EMAIL).await;
    world.change(AccountChange::SetGroups(group_set(&[]))).await;
    // As if the owner's earlier change arrived here only now.
    world.services.sessions.refresh(&stale).await;
    let groups = ann.session.principal().groups.clone();
    assert!(groups.is_empty(), "{groups:?}");
}

#[tokio::test]
async fn s76_what_is_known_while_the_store_does_not_answer_brings_no_groups_back() {
    let world = TestEnv::with_ann(|_| {}).await;
    world
        .change(AccountChange::SetGroups(group_set(&["ops", "staff"])))
        .await;
    let stale = world.account(EMAIL).await;
    let ann = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    world
        .change(AccountChange::SetGroups(group_set(&["staff", "dev"])))
        .await;
    let sessions = &world.services.sessions;
    let groups = || ann.session.principal().groups.clone();
    sessions.restrict(&stale);
    assert_eq!(groups(), group_set(&["staff"]));
    sessions.settle_accounts().await;
    assert_eq!(groups(), group_set(&["staff", "dev"]));
    assert!(!sessions.is_unsettled(stale.id));
    let disabled = Account {
        status: AccountStatus::Disabled,
        ..stale
    };
    sessions.restrict(&disabled);
    assert!(ann.session.has_ended());
}

#[tokio::test]
async fn s28_a_session_that_does_not_know_the_password_ends_when_its_account_is_read() {
    let world = TestEnv::with_ann(|_| {}).await;
    let ann = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let stays = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    world.hand.advance(MINUTE);
    let changed = Account {
        password_changed_at: world.clock.now(),
        ..ann.account.clone()
    };
    // As by a change whose response was lost.
    stays.session.may_set_password(changed.password_changed_at);
    world
        .store
        .update_account(&ann.account, changed.clone())
        .await
        .unwrap();
    world.services.sessions.try_refresh(ann.account.id).await.unwrap();
    assert!(ann.session.has_ended());
    assert!(!stays.session.has_ended(), "its owner set it there");
}

#[tokio::test]
async fn s28_a_change_that_its_caller_gave_up_leaves_no_more_than_the_store_may_have() {
    let world = TestEnv::with_ann(|_| {}).await;
    world
        .change(AccountChange::SetGroups(group_set(&["ops", "staff"])))
        .await;
    let ann = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let (accounts, by, origin) = (&world.services.accounts, Actor::operator("test"), client());
    let stripped = AccountChange::SetGroups(group_set(&["staff"]));
    let mut changing = Box::pin(accounts.change(EMAIL, stripped, &by, &origin));
    // Until it waits for the commit, which goes on.
    while world.account(EMAIL).await.groups.len() > 1 {
        let _ = futures_util::poll!(&mut changing);
    }
    drop(changing);
    assert_eq!(ann.session.principal().groups, group_set(&["staff"]));
    world.services.sessions.settle_accounts().await;
    assert_eq!(ann.session.principal().groups, group_set(&["staff"]));
}

#[tokio::test]
async fn s21_a_session_older_than_the_password_is_dropped_at_load() {
    let world = TestEnv::with_ann(|_| {}).await;
    let [own, other] = [
        world.sign_in(EMAIL, PASSWORD).await.unwrap(),
        world.sign_in(EMAIL, PASSWORD).await.unwrap(),
    ];
    let left_over = world.store.sessions().await.unwrap();
    let left_over = left_over
        .into_iter()
        .find(|kept| kept.digest == other.token.digest());
    world.hand.advance(MINUTE);
    let new = || crate::secret::Secret::new("N3w-harbour!".to_owned());
    let form = crate::services::PasswordForm {
        current: crate::secret::Secret::new(PASSWORD.to_owned()),
        password: new(),
        password_confirm: new(),
    };
    let (account, origin) = (&world.services.account_settings, client());
    let changed = account.change_password(&own.session, &form, &origin);
    changed.await.unwrap();
    // What a gateway leaves that is killed between the two steps, when they were two.
    world.store.put_session(left_over.unwrap(), None).await.unwrap();
    let services = world.restarted(4).await;
    assert!(
        services.sessions.peek(&own.token.digest()).is_some(),
        "it set the password"
    );
    assert!(services.sessions.peek(&other.token.digest()).is_none());
    assert_eq!(world.store.sessions().await.unwrap().len(), 1);
}

const YEAR: Duration = Duration::from_hours(365 * 24);

#[tokio::test]
async fn s29_a_session_that_began_while_the_clock_was_ahead_lives_no_longer() {
    let world = world().await;
    let noon = world.clock.now();
    world.hand.set_wall(noon + YEAR);
    let (early, late) = (
        world.sign_in(EMAIL, PASSWORD).await.unwrap(),
        world.sign_in(EMAIL, PASSWORD).await.unwrap(),
    );
    world.hand.set_wall(noon);
    let sessions = &world.services.sessions;
    assert!(
        !sessions.is_proved(&late.session, 5 * MINUTE),
        "the password is asked again"
    );
    for _ in 0..6 {
        world.hand.advance(9 * MINUTE);
        assert!(sessions.find(&late.token.digest()).is_some());
    }
    assert!(sessions.find(&early.token.digest()).is_none(), "it was not used");
    world.hand.advance(6 * MINUTE);
    assert!(sessions.find(&late.token.digest()).is_none(), "its hour is over");
}

#[tokio::test]
async fn s29_a_clock_that_is_set_ahead_ends_no_session() {
    let world = world().await;
    let ann = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let noon = world.clock.now();
    world.hand.set_wall(noon + YEAR);
    let sessions = &world.services.sessions;
    assert!(sessions.find(&ann.token.digest()).is_some());
    sessions.sweep().await;
    sessions.sweep_store().await;
    assert_eq!(world.store.sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_lies_in_the_future_is_not_believed_at_a_restart() {
    let world = world().await;
    let noon = world.clock.now();
    let used = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    world.hand.set_wall(noon + YEAR);
    let begun = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    world.hand.advance(MINUTE);
    world.services.sessions.find(&used.token.digest()).unwrap();
    world.services.sessions.write_uses().await;
    let (used, begun) = (used.token.digest(), begun.token.digest());
    let world = world.reopened(noon + 2 * MINUTE).await;
    let sessions = &world.services.sessions;
    assert!(sessions.find(&begun).is_none(), "nobody knows how old it is");
    assert!(sessions.peek(&used).is_some());
    world.hand.advance(8 * MINUTE);
    assert!(sessions.peek(&used).is_none(), "its use in the future is none");
}

#[tokio::test]
async fn s36_a_clock_that_was_ahead_has_no_spent_signature_forgotten() {
    let world = world().await;
    let noon = world.clock.now();
    let signature = SignatureDigest::of("AKIA", b"signature");
    let spend = async || {
        let spent = world.store.claim_signature(signature, noon + 15 * MINUTE).await;
        spent.unwrap()
    };
    assert_eq!(spend().await, SpendSignature::Spent);
    world.hand.set_wall(noon + YEAR);
    world.services.sessions.sweep_store().await;
    world.hand.set_wall(noon + MINUTE);
    world.services.sessions.sweep_store().await;
    assert_eq!(spend().await, SpendSignature::SpentBefore);
    world.hand.advance(16 * MINUTE);
    world.services.sessions.sweep_store().await;
    assert_eq!(spend().await, SpendSignature::Spent, "its time is over");
}

#[tokio::test]
async fn s77_a_password_set_while_the_clock_was_ahead_ends_no_later_session_at_a_restart() {
    let world = TestEnv::with_ann(|_| {}).await;
    let noon = world.clock.now();
    world.hand.set_wall(noon + 24 * 60 * MINUTE);
    let before = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    let left_over = world.store.sessions().await.unwrap().remove(0);
    let password = crate::secret::Secret::new(PASSWORD.to_owned());
    let set = AccountChange::SetPassword(crate::services::NewPassword::Plain(password));
    world.change(set).await;
    world.hand.set_wall(noon + MINUTE);
    let after = world.sign_in(EMAIL, PASSWORD).await.unwrap();
    // An earlier session, as a backup may restore it.
    world.store.put_session(left_over, None).await.unwrap();
    let (before, after) = (before.token.digest(), after.token.digest());
    let sessions = world.restarted(4).await.sessions;
    assert!(sessions.peek(&after).is_some());
    assert!(sessions.peek(&before).is_none());
}

#[tokio::test]
async fn pages_of_sessions_lead_both_ways_and_have_each_once() {
    let world = world().await;
    let account = world.sign_in(EMAIL, PASSWORD).await.unwrap().account;
    let sessions = &world.services.sessions;
    for _ in 0..7 {
        world.hand.advance(Duration::from_secs(1));
        let address = [192, 0, 2, 1].into();
        let begun = sessions.begin(&account, SignInCredential::Password, address, "", None);
        begun.await.unwrap().unwrap();
    }
    let all: Vec<SessionId> = sessions.list(None).iter().map(|info| info.session.id).collect();
    assert_eq!((all.len(), sessions.count()), (8, 8));
    let ids =
        |page: &SessionPage| -> Vec<SessionId> { page.sessions.iter().map(|info| info.session.id).collect() };
    let mut pages = vec![sessions.page(None, None, 3)];
    while let Some(next) = pages.last().unwrap().next {
        pages.push(sessions.page(Some(account.id), Some(SessionCursor::After(next)), 3));
    }
    assert_eq!(
        pages.iter().flat_map(ids).collect::<Vec<_>>(),
        all,
        "the newest first"
    );
    assert!(pages.len() == 3 && pages.iter().all(|page| page.count == 8));
    assert_eq!(pages[0].previous, None);
    let back = sessions.page(None, pages[2].previous.map(SessionCursor::Before), 3);
    assert_eq!(ids(&back), ids(&pages[1]));
    let first = sessions.page(None, back.previous.map(SessionCursor::Before), 3);
    assert_eq!((ids(&first), first.previous), (ids(&pages[0]), None));
    // Nothing comes before the newest: the first page is shown.
    let whole = sessions.page(None, Some(SessionCursor::Before(all[0])), 3);
    assert_eq!(ids(&whole), ids(&pages[0]));
    let beyond = sessions.page(None, Some(SessionCursor::After(all[7])), 3);
    assert_eq!((ids(&beyond), beyond.count), (Vec::new(), 8));
    let nobody = AccountId::new(world.clock.now(), &Random::seeded(9));
    assert_eq!(sessions.page(Some(nobody), None, 3).count, 0);
    world.hand.advance(11 * MINUTE);
    assert_eq!((sessions.count(), sessions.page(None, None, 3).count), (0, 0));
}
