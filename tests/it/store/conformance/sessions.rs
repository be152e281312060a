//! Sessions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use vestibule::model::{Account, AccountStatus, KeyUse, Session, TokenDigest};
use vestibule::store::{PutSession, SessionsToEnd, Store};

use super::super::samples::{access_key, account, digest, later, noon, session};
use super::{Harness, assert_sound};

async fn tokens(store: &Arc<dyn Store>) -> BTreeSet<TokenDigest> {
    let sessions = store.sessions().await.unwrap();
    sessions.iter().map(|session| session.digest).collect()
}

fn of(tokens: impl IntoIterator<Item = u64>) -> BTreeSet<TokenDigest> {
    tokens.into_iter().map(digest).collect()
}

pub(crate) async fn a_session_is_kept_and_replaces_another<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let (first, second) = (
        session(ann.id, 1, harness.random()),
        session(ann.id, 2, harness.random()),
    );
    store.put_session(first.clone(), None).await.unwrap();
    assert_eq!(store.sessions().await.unwrap(), vec![first.clone()]);
    store
        .put_session(second.clone(), Some(first.digest))
        .await
        .unwrap();
    assert_eq!(store.sessions().await.unwrap(), vec![second.clone()]);
    let ended = store.end_sessions(SessionsToEnd::Id(first.id)).await.unwrap();
    assert_eq!(ended, 0);
    store
        .put_session(session(ann.id, 3, harness.random()), Some(digest(99)))
        .await
        .unwrap();
    assert_eq!(tokens(&store).await, of([2, 3]));
    assert_sound(&store).await;
}

pub(crate) async fn a_session_needs_an_account_that_may_sign_in<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    let nobody = store
        .put_session(session(ann.id, 1, harness.random()), None)
        .await;
    assert_eq!(nobody.unwrap(), PutSession::ShutOut);

    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let disabled = Account {
        status: AccountStatus::Disabled,
        ..ann.clone()
    };
    store.update_account(&ann, disabled).await.unwrap();
    let refused = store
        .put_session(session(ann.id, 1, harness.random()), None)
        .await;
    assert_eq!(refused.unwrap(), PutSession::ShutOut);
    assert_eq!(store.sessions().await.unwrap(), []);
}

pub(crate) async fn touched_sessions_never_go_back_or_come_back<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let kept = session(ann.id, 1, harness.random());
    store.put_session(kept.clone(), None).await.unwrap();
    let seen = later(noon(), Duration::from_secs(30));
    store
        .touch_sessions(vec![(digest(1), seen), (digest(2), seen)])
        .await
        .unwrap();
    store.touch_sessions(vec![(digest(1), noon())]).await.unwrap();
    let touched = Session {
        last_seen_at: seen,
        ..kept
    };
    assert_eq!(store.sessions().await.unwrap(), [touched]);
    assert_sound(&store).await;
}

pub(crate) async fn a_use_that_a_clock_ahead_noted_is_followed_by_others<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let key = access_key(ann.id, harness.random());
    store.create_access_key(key.clone(), 1, Vec::new()).await.unwrap();
    let kept = session(ann.id, 1, harness.random());
    store.put_session(kept, None).await.unwrap();
    let ahead = later(noon(), Duration::from_hours(24));
    let back = later(noon(), Duration::from_mins(1));
    for at in [ahead, back] {
        store.touch_sessions(vec![(digest(1), at)]).await.unwrap();
        assert_eq!(store.sessions().await.unwrap()[0].last_seen_at, at);
        let last_use = KeyUse {
            at,
            address: None,
            client: String::new(),
        };
        store
            .touch_access_keys(vec![(key.id, last_use.clone())])
            .await
            .unwrap();
        let kept = store.access_keys(None).await.unwrap().remove(0);
        assert_eq!(kept.last_use, Some(last_use));
    }
}

pub(crate) async fn uses_that_are_noted_together_are_noted_in_their_order<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let key = access_key(ann.id, harness.random());
    store.create_access_key(key.clone(), 1, Vec::new()).await.unwrap();
    let kept = session(ann.id, 1, harness.random());
    store.put_session(kept, None).await.unwrap();
    let minutes = |n| later(noon(), Duration::from_mins(n));
    // The first by a clock that was ahead, the last one late.
    let uses = [minutes(24 * 60), minutes(2), minutes(1)];
    let seen = uses.map(|at| (digest(1), at)).to_vec();
    store.touch_sessions(seen).await.unwrap();
    assert_eq!(store.sessions().await.unwrap()[0].last_seen_at, minutes(2));
    let key_use = |at| KeyUse {
        at,
        address: None,
        client: String::new(),
    };
    let uses = uses.map(|at| (key.id, key_use(at))).to_vec();
    store.touch_access_keys(uses).await.unwrap();
    let kept = store.access_keys(None).await.unwrap().remove(0);
    assert_eq!(kept.last_use, Some(key_use(minutes(2))));
}

pub(crate) async fn sessions_end_by_token_by_id_by_account_and_all<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let (ann, bob) = (account("ann", harness.random()), account("bob", harness.random()));
    let mut ids = Vec::new();
    for (account, numbers) in [(&ann, 0..6), (&bob, 6..8)] {
        store.create_account(account.clone(), None, noon()).await.unwrap();
        for n in numbers {
            let session = session(account.id, n, harness.random());
            ids.push(session.id);
            store.put_session(session, None).await.unwrap();
        }
    }
    let end = |which| {
        let store = store.clone();
        async move { store.end_sessions(which).await.unwrap() }
    };
    assert_eq!(end(SessionsToEnd::Token(digest(0))).await, 1);
    assert_eq!(end(SessionsToEnd::Token(digest(0))).await, 0);
    assert_eq!(end(SessionsToEnd::Id(ids[1])).await, 1);
    assert_eq!(end(SessionsToEnd::Id(ids[1])).await, 0);
    assert_eq!(tokens(&store).await, of(2..8));
    assert_eq!(end(SessionsToEnd::Account(ann.id, Some(digest(3)))).await, 3);
    assert_eq!(tokens(&store).await, of([3, 6, 7]));
    assert_eq!(end(SessionsToEnd::Account(ann.id, Some(digest(6)))).await, 1);
    assert_eq!(tokens(&store).await, of([6, 7]));
    assert_eq!(end(SessionsToEnd::Account(ann.id, None)).await, 0);
    assert_sound(&store).await;
    assert_eq!(end(SessionsToEnd::All).await, 2);
    assert_eq!(end(SessionsToEnd::All).await, 0);
    assert_eq!(store.sessions().await.unwrap(), []);
    assert_sound(&store).await;
}

pub(crate) async fn sessions_are_swept<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    for n in 0..600 {
        let session = Session {
            created_at: later(noon(), Duration::from_secs(n)),
            ..session(ann.id, n, harness.random())
        };
        store.put_session(session, None).await.unwrap();
    }
    let before = later(noon(), Duration::from_mins(5));
    store.sweep(noon(), before).await.unwrap();
    assert_eq!(tokens(&store).await, of(300..600));
    assert_sound(&store).await;
}

pub(crate) async fn sessions_survive_a_restart<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    for n in 1..=3 {
        store
            .put_session(session(ann.id, n, harness.random()), None)
            .await
            .unwrap();
    }
    store.end_sessions(SessionsToEnd::Token(digest(2))).await.unwrap();
    drop(store);
    let harness = harness.restart(noon());
    assert_eq!(tokens(&harness.store()).await, of([1, 3]));
}

pub(crate) async fn a_session_that_begins_is_noted_on_its_account<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let (ann, bob) = (account("ann", harness.random()), account("bob", harness.random()));
    for made in [&ann, &bob] {
        store.create_account(made.clone(), None, noon()).await.unwrap();
    }
    let begins = async |n: u64, at| {
        let begun = Session {
            created_at: at,
            ..session(ann.id, n, harness.random())
        };
        assert_eq!(store.put_session(begun, None).await.unwrap(), PutSession::Kept);
        store.account(ann.id).await.unwrap().unwrap().last_sign_in_at
    };
    let (first, second) = (
        later(noon(), Duration::from_secs(5)),
        later(noon(), Duration::from_nanos(6_000_000_001)),
    );
    assert_eq!(begins(1, first).await, Some(first));
    assert_eq!(begins(2, second).await, Some(second));
    assert_eq!(begins(3, first).await, Some(second), "never back in time");
    let ahead = later(noon(), Duration::from_hours(24));
    assert_eq!(begins(4, ahead).await, Some(ahead));
    assert_eq!(
        begins(5, second).await,
        Some(second),
        "but from a clock that was ahead"
    );

    // Nothing else changes it, and it changes nothing else.
    let touched = later(noon(), Duration::from_secs(30));
    store.touch_sessions(vec![(digest(2), touched)]).await.unwrap();
    store
        .end_sessions(SessionsToEnd::Account(ann.id, None))
        .await
        .unwrap();
    let noted = Account {
        last_sign_in_at: Some(second),
        ..ann.clone()
    };
    assert_eq!(store.account(ann.id).await.unwrap().unwrap(), noted);
    assert_eq!(
        store.account_by_email(&ann.email).await.unwrap(),
        Some(noted.clone())
    );
    assert_eq!(
        store.account(bob.id).await.unwrap().unwrap().last_sign_in_at,
        None
    );
    let disabled = Account {
        status: AccountStatus::Disabled,
        ..bob.clone()
    };
    store.update_account(&bob, disabled).await.unwrap();
    let refused = store
        .put_session(session(bob.id, 6, harness.random()), None)
        .await;
    assert_eq!(refused.unwrap(), PutSession::ShutOut);
    assert_eq!(
        store.account(bob.id).await.unwrap().unwrap().last_sign_in_at,
        None
    );
    assert_sound(&store).await;
    drop(store);
    let harness = harness.restart(noon());
    assert_eq!(harness.store().account(ann.id).await.unwrap(), Some(noted));
}
