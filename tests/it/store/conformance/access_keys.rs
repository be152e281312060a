//! Access keys, and the data key that encrypts their secrets.

use std::time::Duration;

use vestibule::model::{AccessKey, AccessKeyId, Account, KeyUse, LockoutSubject, Session, SignInMethod};
use vestibule::store::{AttemptOutcome, CreateAccessKey, DeleteAccount, PutSession, SessionsToEnd};

use super::super::samples::{POLICY, access_key, account, data_key, digest, later, mail, noon, session};
use super::{Harness, assert_sound};

/// A store with an account and a data key.
async fn with_ann<H: Harness>() -> (H, Account) {
    let harness = H::new();
    let ann = account("ann", harness.random());
    let store = harness.store();
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    assert!(store.replace_data_key(None, data_key(1)).await.unwrap());
    (harness, ann)
}

fn used(seconds: u64) -> KeyUse {
    KeyUse {
        at: later(noon(), Duration::from_secs(seconds)),
        address: Some([192, 0, 2, 1].into()),
        client: "curl/8".to_owned(),
    }
}

pub(crate) async fn an_access_key_is_kept_listed_and_revoked<H: Harness>() {
    let (harness, ann) = with_ann::<H>().await;
    let store = harness.store();
    let bob = account("bob", harness.random());
    store.create_account(bob.clone(), None, noon()).await.unwrap();
    let later_one = AccessKey {
        created_at: later(noon(), Duration::from_secs(1)),
        ..access_key(ann.id, harness.random())
    };
    let (first, of_bob) = (
        access_key(ann.id, harness.random()),
        access_key(bob.id, harness.random()),
    );
    for key in [&later_one, &first, &of_bob] {
        let told = vec![mail(&ann, harness.random())];
        let created = store.create_access_key(key.clone(), 5, told).await.unwrap();
        assert_eq!(created, CreateAccessKey::Created);
    }
    let told = vec![mail(&ann, harness.random())];
    let one_more = access_key(ann.id, harness.random());
    let created = store.create_access_key(one_more, 2, told).await.unwrap();
    assert_eq!(created, CreateAccessKey::TooMany);
    assert_eq!(
        store.mails(None, 9).await.unwrap().mails.len(),
        3,
        "no key, no mail"
    );
    assert_eq!(
        store.access_keys(Some(ann.id)).await.unwrap(),
        [first.clone(), later_one.clone()]
    );
    assert_eq!(store.access_keys(None).await.unwrap().len(), 3);
    assert_sound(&store).await;

    assert_eq!(
        store.revoke_access_key(first.id).await.unwrap(),
        Some(first.clone())
    );
    assert_eq!(store.revoke_access_key(first.id).await.unwrap(), None);
    assert_eq!(store.access_keys(Some(ann.id)).await.unwrap(), [later_one]);
    assert_eq!(store.access_keys(Some(bob.id)).await.unwrap(), [of_bob]);
    assert_sound(&store).await;
}

pub(crate) async fn an_account_has_at_most_so_many_access_keys<H: Harness>() {
    let (harness, ann) = with_ann::<H>().await;
    let store = harness.store();
    let create = |key: AccessKey| {
        let store = store.clone();
        async move { store.create_access_key(key, 2, Vec::new()).await.unwrap() }
    };
    let first = access_key(ann.id, harness.random());
    assert_eq!(create(first.clone()).await, CreateAccessKey::Created);
    let second = access_key(ann.id, harness.random());
    assert_eq!(create(second).await, CreateAccessKey::Created);
    let third = access_key(ann.id, harness.random());
    assert_eq!(create(third.clone()).await, CreateAccessKey::TooMany);
    store.revoke_access_key(first.id).await.unwrap();
    assert_eq!(create(third).await, CreateAccessKey::Created);

    let nobodys = access_key(account("bob", harness.random()).id, harness.random());
    assert_eq!(create(nobodys).await, CreateAccessKey::NoAccount);
    assert_sound(&store).await;
}

pub(crate) async fn an_access_key_is_switched_off_and_on<H: Harness>() {
    let (harness, ann) = with_ann::<H>().await;
    let store = harness.store();
    let key = access_key(ann.id, harness.random());
    store.create_access_key(key.clone(), 1, Vec::new()).await.unwrap();
    for disabled in [true, true, false] {
        let changed = store.set_access_key_disabled(key.id, disabled).await.unwrap();
        let wanted = AccessKey {
            disabled,
            ..key.clone()
        };
        assert_eq!(changed, Some(wanted.clone()));
        assert_eq!(store.access_keys(None).await.unwrap(), [wanted]);
    }
    store.revoke_access_key(key.id).await.unwrap();
    assert_eq!(store.set_access_key_disabled(key.id, true).await.unwrap(), None);
    assert_eq!(store.access_keys(None).await.unwrap(), []);
}

pub(crate) async fn s28_sessions_end_with_the_access_key_that_began_them<H: Harness>() {
    let (harness, ann) = with_ann::<H>().await;
    let (store, random) = (harness.store(), harness.random());
    let bob = account("bob", random);
    store.create_account(bob.clone(), None, noon()).await.unwrap();
    let [first, second, of_bob] = [ann.id, ann.id, bob.id].map(|account| access_key(account, random));
    for key in [&first, &second, &of_bob] {
        store.create_access_key(key.clone(), 5, Vec::new()).await.unwrap();
    }
    let begun = |n: u64, account: &Account, key: Option<AccessKeyId>| Session {
        method: SignInMethod::Iam,
        access_key: key,
        proved_at: None,
        ..session(account.id, n, random)
    };
    let put = async |session| store.put_session(session, None).await.unwrap();
    let numbers = async || {
        let digests: Vec<_> = store.sessions().await.unwrap();
        let is_kept = |n: &u64| digests.iter().any(|session| session.digest == digest(*n));
        (0..10).filter(is_kept).collect::<Vec<u64>>()
    };
    for kept in [
        begun(1, &ann, Some(first.id)),
        begun(2, &ann, Some(second.id)),
        session(ann.id, 3, random),
        // From before the key was recorded: it may have been any.
        begun(4, &ann, None),
        begun(5, &bob, Some(of_bob.id)),
    ] {
        assert_eq!(put(kept).await, PutSession::Kept);
    }
    let others = begun(6, &ann, Some(of_bob.id));
    assert_eq!(put(others).await, PutSession::ShutOut, "it is not hers");
    store.set_access_key_disabled(second.id, false).await.unwrap();
    assert_eq!(numbers().await, [1, 2, 3, 4, 5]);
    store.set_access_key_disabled(second.id, true).await.unwrap();
    assert_eq!(numbers().await, [1, 3, 5]);
    assert_eq!(
        put(begun(7, &ann, Some(second.id))).await,
        PutSession::ShutOut,
        "it is off"
    );
    store.set_access_key_disabled(second.id, false).await.unwrap();
    assert_eq!(put(begun(7, &ann, Some(second.id))).await, PutSession::Kept);
    assert_sound(&store).await;
    store.revoke_access_key(first.id).await.unwrap();
    assert_eq!(numbers().await, [3, 5, 7]);
    assert_eq!(
        put(begun(8, &ann, Some(first.id))).await,
        PutSession::ShutOut,
        "it is gone"
    );
    let ended = store
        .end_sessions(SessionsToEnd::AccessKey(ann.id, second.id))
        .await;
    assert_eq!(ended.unwrap(), 1);
    assert_eq!(numbers().await, [3, 5]);
    assert_sound(&store).await;
}

pub(crate) async fn a_touched_access_key_never_goes_back_or_comes_back<H: Harness>() {
    let (harness, ann) = with_ann::<H>().await;
    let store = harness.store();
    let key = access_key(ann.id, harness.random());
    store.create_access_key(key.clone(), 1, Vec::new()).await.unwrap();
    for seconds in [2, 1] {
        store
            .touch_access_keys(vec![(key.id, used(seconds))])
            .await
            .unwrap();
        let kept = store.access_keys(None).await.unwrap().remove(0);
        assert_eq!(kept.last_use, Some(used(2)));
    }
    store.revoke_access_key(key.id).await.unwrap();
    store.touch_access_keys(vec![(key.id, used(3))]).await.unwrap();
    assert_eq!(store.access_keys(None).await.unwrap(), []);
    assert_sound(&store).await;
}

pub(crate) async fn a_removed_account_takes_its_access_keys_along<H: Harness>() {
    let (harness, ann) = with_ann::<H>().await;
    let store = harness.store();
    for _ in 0..2 {
        let key = access_key(ann.id, harness.random());
        let subject = LockoutSubject::AccessKey(key.id);
        store.create_access_key(key, 2, Vec::new()).await.unwrap();
        store.record_attempt(subject, POLICY).await.unwrap();
    }
    assert_eq!(
        store.delete_account(ann.id).await.unwrap(),
        DeleteAccount::Deleted
    );
    assert_eq!(store.access_keys(None).await.unwrap(), []);
    assert_eq!(store.access_keys(Some(ann.id)).await.unwrap(), []);
    assert_sound(&store).await;
}

pub(crate) async fn an_access_key_locks_whether_or_not_it_exists<H: Harness>() {
    let (harness, ann) = with_ann::<H>().await;
    let store = harness.store();
    let (known, unknown) = (
        access_key(ann.id, harness.random()),
        access_key(ann.id, harness.random()),
    );
    store
        .create_access_key(known.clone(), 1, Vec::new())
        .await
        .unwrap();
    for subject in [
        LockoutSubject::AccessKey(known.id),
        LockoutSubject::AccessKey(unknown.id),
    ] {
        for n in 1..=11 {
            assert_eq!(
                store.record_attempt(subject, POLICY).await.unwrap(),
                AttemptOutcome::Counted(n)
            );
        }
        assert_eq!(
            store.record_attempt(subject, POLICY).await.unwrap(),
            AttemptOutcome::Locked(POLICY.duration)
        );
    }
    assert_eq!(
        store
            .locked_for(LockoutSubject::Account(ann.id), POLICY)
            .await
            .unwrap(),
        None
    );
    assert_sound(&store).await;
    // Its lockout goes with the key.
    store.revoke_access_key(known.id).await.unwrap();
    let subject = LockoutSubject::AccessKey(known.id);
    assert_eq!(store.locked_for(subject, POLICY).await.unwrap(), None);
    assert_sound(&store).await;
}

pub(crate) async fn the_data_key_is_replaced_by_whoever_read_it<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    assert_eq!(store.data_key().await.unwrap(), None);
    let replace = |expected, new| {
        let store = store.clone();
        async move { store.replace_data_key(expected, data_key(new)).await.unwrap() }
    };
    assert!(replace(None, 1).await);
    assert!(!replace(None, 2).await);
    assert!(!replace(Some(data_key(2)), 3).await);
    assert_eq!(store.data_key().await.unwrap(), Some(data_key(1)));
    assert!(replace(Some(data_key(1)), 2).await);
    assert_eq!(store.data_key().await.unwrap(), Some(data_key(2)));
    assert_sound(&store).await;
}

pub(crate) async fn access_keys_survive_a_restart<H: Harness>() {
    let (harness, ann) = with_ann::<H>().await;
    let store = harness.store();
    let key = AccessKey {
        expires_at: Some(later(noon(), Duration::from_hours(1))),
        last_use: Some(used(1)),
        ..access_key(ann.id, harness.random())
    };
    store.create_access_key(key.clone(), 1, Vec::new()).await.unwrap();
    drop(store);
    let harness = harness.restart(noon());
    let store = harness.store();
    assert_eq!(store.access_keys(None).await.unwrap(), [key]);
    assert_eq!(store.data_key().await.unwrap(), Some(data_key(1)));
    assert_eq!(store.verify().await.unwrap().access_keys, 1);
}
