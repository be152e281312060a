//! Concurrent operations: S10 and S16 among others.

use std::collections::BTreeSet;
use std::sync::Arc;

use vestibule::model::{Account, AccountStatus, LockoutSubject, Session, SignInMethod};
use vestibule::store::{
    AttemptOutcome, CreateAccessKey, CreateAccount, EditAccount, SessionsToEnd, UpdateAccount,
};

use super::super::samples::{
    ADMINS, POLICY, access_key, account, data_key, digest, email, invitation, member_of, noon, session,
};
use super::{Harness, assert_sound, together};

fn count<T: PartialEq>(outcomes: &[T], wanted: &T) -> usize {
    outcomes.iter().filter(|outcome| *outcome == wanted).count()
}

pub(crate) async fn of_twenty_signups_with_one_invitation_one_makes_an_account<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    store
        .create_invitation(invitation(1, harness.random()))
        .await
        .unwrap();
    let outcomes = together(20, |n| {
        let (store, account) = (store.clone(), account(&format!("user{n}"), harness.random()));
        async move {
            store
                .create_account(account, Some(digest(1)), noon())
                .await
                .unwrap()
        }
    })
    .await;
    assert_eq!(count(&outcomes, &CreateAccount::Created), 1);
    assert_eq!(count(&outcomes, &CreateAccount::InvitationVoid), 19);
    assert_eq!(store.accounts(None, 100).await.unwrap().len(), 1);
    assert_sound(&store).await;
}

pub(crate) async fn of_twenty_signups_with_one_address_one_makes_an_account<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let outcomes = together(20, |n| {
        let spelling = if n % 2 == 0 {
            "ann@example.com"
        } else {
            "ANN@example.com"
        };
        let account = Account {
            email: email(spelling),
            ..account(&format!("user{n}"), harness.random())
        };
        let store = store.clone();
        async move { store.create_account(account, None, noon()).await.unwrap() }
    })
    .await;
    assert_eq!(count(&outcomes, &CreateAccount::Created), 1);
    assert_eq!(count(&outcomes, &CreateAccount::EmailTaken), 19);
    assert_sound(&store).await;
}

pub(crate) async fn of_twenty_signups_with_one_username_one_makes_an_account<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let outcomes = together(20, |n| {
        let account = Account {
            email: email(&format!("user{n}@example.com")),
            ..account("ann", harness.random())
        };
        let store = store.clone();
        async move { store.create_account(account, None, noon()).await.unwrap() }
    })
    .await;
    assert_eq!(count(&outcomes, &CreateAccount::Created), 1);
    assert_eq!(count(&outcomes, &CreateAccount::UsernameTaken), 19);
    assert_sound(&store).await;
}

pub(crate) async fn of_fifty_attempts_eleven_are_counted<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    for subject in [LockoutSubject::Account(ann.id), LockoutSubject::unknown("nobody")] {
        let outcomes = together(50, |_| {
            let store = store.clone();
            async move { store.record_attempt(subject, POLICY).await.unwrap() }
        })
        .await;
        let counted: Vec<u32> = outcomes
            .iter()
            .filter_map(|outcome| match outcome {
                AttemptOutcome::Counted(n) => Some(*n),
                AttemptOutcome::Locked(_) => None,
            })
            .collect();
        assert_eq!(counted.len(), 11);
        assert_eq!(counted.into_iter().collect::<BTreeSet<_>>(), (1..=11).collect());
        assert_eq!(count(&outcomes, &AttemptOutcome::Locked(POLICY.duration)), 39);
    }
}

pub(crate) async fn of_twenty_changes_one_is_made<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let outcomes = together(20, |n| {
        let (store, ann) = (store.clone(), ann.clone());
        let changed = Account {
            name: Some(n.to_string()),
            ..ann.clone()
        };
        async move { store.update_account(&ann, changed).await.unwrap() }
    })
    .await;
    assert_eq!(count(&outcomes, &UpdateAccount::Updated), 1);
    assert_eq!(count(&outcomes, &UpdateAccount::Changed), 19);
    let winner = outcomes
        .iter()
        .position(|outcome| *outcome == UpdateAccount::Updated);
    let kept = store.account(ann.id).await.unwrap().unwrap();
    assert_eq!(kept.name, winner.map(|n| n.to_string()));
}

pub(crate) async fn of_twenty_edits_all_are_made<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let outcomes = together(20, |n| {
        let store = store.clone();
        let edit = move |account: &mut Account| account.groups.insert(format!("g{n:02}")).then(Vec::new);
        async move { store.edit_account(ann.id, Arc::new(edit)).await.unwrap() }
    })
    .await;
    let is_edited = |outcome: &&EditAccount| matches!(outcome, EditAccount::Edited { .. });
    assert_eq!(outcomes.iter().filter(is_edited).count(), 20, "{outcomes:?}");
    let kept = store.account(ann.id).await.unwrap().unwrap();
    assert_eq!(kept.groups, (0..20).map(|n| format!("g{n:02}")).collect());
    assert_sound(&store).await;
}

pub(crate) async fn of_two_administrators_who_step_down_one_stays<H: Harness>() {
    for _ in 0..20 {
        let harness = H::new();
        let store = harness.store();
        let both = ["ann", "bob"].map(|name| member_of(ADMINS, name, harness.random()));
        for account in &both {
            store.create_account(account.clone(), None, noon()).await.unwrap();
        }
        let outcomes = together(2, |n| {
            let (store, account) = (store.clone(), both[n].clone());
            let mut changed = account.clone();
            if n == 0 {
                changed.groups.clear();
            } else {
                changed.status = AccountStatus::Disabled;
            }
            async move { store.update_account(&account, changed).await.unwrap() }
        })
        .await;
        assert_eq!(count(&outcomes, &UpdateAccount::Updated), 1);
        assert_eq!(count(&outcomes, &UpdateAccount::LastMember), 1);
        assert_sound(&store).await;
    }
}

pub(crate) async fn of_two_accounts_that_want_an_address_one_gets_it<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let both = ["ann", "bob"].map(|name| account(name, harness.random()));
    for account in &both {
        store.create_account(account.clone(), None, noon()).await.unwrap();
    }
    let outcomes = together(2, |n| {
        let (store, account) = (store.clone(), both[n].clone());
        let changed = Account {
            email: email("boss@example.com"),
            ..account.clone()
        };
        async move { store.update_account(&account, changed).await.unwrap() }
    })
    .await;
    assert_eq!(count(&outcomes, &UpdateAccount::Updated), 1);
    assert_eq!(count(&outcomes, &UpdateAccount::EmailTaken), 1);
    assert_sound(&store).await;
}

pub(crate) async fn of_three_who_want_a_username_one_gets_it<H: Harness>() {
    for _ in 0..20 {
        let harness = H::new();
        let store = harness.store();
        let both = ["ann", "bob"].map(|name| account(name, harness.random()));
        for account in &both {
            store.create_account(account.clone(), None, noon()).await.unwrap();
        }
        let newcomer = Account {
            email: email("new@example.com"),
            ..account("boss", harness.random())
        };
        let outcomes = together(3, |n| {
            let (store, newcomer, account) = (store.clone(), newcomer.clone(), both.get(n).cloned());
            async move {
                let Some(account) = account else {
                    let created = store.create_account(newcomer, None, noon()).await.unwrap();
                    return created == CreateAccount::Created;
                };
                let changed = Account {
                    username: newcomer.username,
                    ..account.clone()
                };
                let updated = store.update_account(&account, changed).await.unwrap();
                updated == UpdateAccount::Updated
            }
        })
        .await;
        assert_eq!(count(&outcomes, &true), 1, "{outcomes:?}");
        assert_sound(&store).await;
    }
}

pub(crate) async fn ended_sessions_are_counted_once<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    for n in 0..20 {
        store
            .put_session(session(ann.id, n, harness.random()), None)
            .await
            .unwrap();
    }
    let ended = together(20, |n| {
        let store = store.clone();
        let which = match n {
            0 => SessionsToEnd::All,
            1 => SessionsToEnd::Account(ann.id, None),
            n => SessionsToEnd::Token(digest(u64::try_from(n).unwrap())),
        };
        async move { store.end_sessions(which).await.unwrap() }
    })
    .await;
    assert_eq!(ended.iter().sum::<usize>(), 20);
    assert_eq!(store.sessions().await.unwrap(), []);
    assert_sound(&store).await;
}

pub(crate) async fn of_twenty_access_keys_two_are_made<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    store.replace_data_key(None, data_key(1)).await.unwrap();
    let outcomes = together(20, |_| {
        let (store, key) = (store.clone(), access_key(ann.id, harness.random()));
        async move { store.create_access_key(key, 2, Vec::new()).await.unwrap() }
    })
    .await;
    assert_eq!(count(&outcomes, &CreateAccessKey::Created), 2);
    assert_eq!(count(&outcomes, &CreateAccessKey::TooMany), 18);
    assert_eq!(store.access_keys(Some(ann.id)).await.unwrap().len(), 2);
    assert_sound(&store).await;
}

pub(crate) async fn of_fifty_attempts_at_an_access_key_eleven_are_counted<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    store.replace_data_key(None, data_key(1)).await.unwrap();
    let key = access_key(ann.id, harness.random());
    let subject = LockoutSubject::AccessKey(key.id);
    store.create_access_key(key, 1, Vec::new()).await.unwrap();
    let outcomes = together(50, |_| {
        let store = store.clone();
        async move { store.record_attempt(subject, POLICY).await.unwrap() }
    })
    .await;
    let counted = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, AttemptOutcome::Counted(_)));
    assert_eq!(counted.count(), 11);
    assert_sound(&store).await;
}

pub(crate) async fn of_twenty_data_keys_one_is_kept<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let outcomes = together(20, |n| {
        let (store, new) = (store.clone(), data_key(u8::try_from(n).unwrap()));
        async move { store.replace_data_key(None, new).await.unwrap() }
    })
    .await;
    assert_eq!(count(&outcomes, &true), 1);
    assert_sound(&store).await;
}

pub(crate) async fn s28_no_session_begins_beside_the_end_of_its_access_key<H: Harness>() {
    let harness = H::new();
    let (store, random) = (harness.store(), harness.random());
    let ann = account("ann", random);
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let key = access_key(ann.id, random);
    store.create_access_key(key.clone(), 1, Vec::new()).await.unwrap();
    together(20, |n| {
        let begun = Session {
            method: SignInMethod::Iam,
            access_key: Some(key.id),
            ..session(ann.id, n as u64, random)
        };
        let (store, key) = (store.clone(), key.id);
        async move {
            if n == 10 {
                store.revoke_access_key(key).await.map(drop).unwrap();
            } else {
                store.put_session(begun, None).await.map(drop).unwrap();
            }
        }
    })
    .await;
    assert_eq!(store.sessions().await.unwrap(), []);
    assert_sound(&store).await;
}
