//! Accounts.

use std::sync::Arc;
use std::time::Duration;

use vestibule::model::{Account, AccountStatus, Administrators, LockoutSubject};
use vestibule::store::{
    AccountEdit, AttemptOutcome, CreateAccount, DeleteAccount, EditAccount, UpdateAccount,
};

use super::super::samples::{ADMINS, POLICY, account, email, member_of, noon, session};
use super::{Harness, assert_sound};

pub(crate) async fn an_account_is_found_by_id_address_and_username<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    assert_eq!(
        store.create_account(ann.clone(), None, noon()).await.unwrap(),
        CreateAccount::Created
    );
    assert_eq!(store.account(ann.id).await.unwrap().as_ref(), Some(&ann));
    for spelling in ["ann@example.com", "ANN@Example.COM"] {
        let found = store.account_by_email(&email(spelling)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&ann), "{spelling}");
    }
    let found = store.account_by_username(&ann.username).await.unwrap();
    assert_eq!(found.as_ref(), Some(&ann));

    let bob = account("bob", harness.random());
    assert_eq!(store.account(bob.id).await.unwrap(), None);
    assert_eq!(store.account_by_email(&bob.email).await.unwrap(), None);
    assert_eq!(store.account_by_username(&bob.username).await.unwrap(), None);
    assert_eq!(store.verify().await.unwrap().accounts, 1);
}

pub(crate) async fn an_address_serves_one_account_in_any_case<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let other = Account {
        email: email("Ann@EXAMPLE.com"),
        ..account("other", harness.random())
    };
    assert_eq!(
        store.create_account(other.clone(), None, noon()).await.unwrap(),
        CreateAccount::EmailTaken
    );
    assert_eq!(store.account(other.id).await.unwrap(), None);
    assert_eq!(store.account_by_username(&other.username).await.unwrap(), None);

    store.delete_account(ann.id).await.unwrap();
    assert_eq!(
        store.create_account(other, None, noon()).await.unwrap(),
        CreateAccount::Created,
        "a removed account gives up its address"
    );
    assert_sound(&store).await;
}

pub(crate) async fn a_username_is_never_given_again<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let other = Account {
        email: email("other@example.com"),
        ..account("ann", harness.random())
    };
    let outcome = store.create_account(other.clone(), None, noon()).await;
    assert_eq!(outcome.unwrap(), CreateAccount::UsernameTaken);

    store.delete_account(ann.id).await.unwrap();
    drop(store);
    let harness = harness.restart(noon());
    let store = harness.store();
    assert_eq!(store.account_by_username(&ann.username).await.unwrap(), None);
    let preview = store.preview_accounts(vec![other.clone()]).await.unwrap();
    assert_eq!(preview, [CreateAccount::UsernameTaken]);
    let outcome = store.create_account(other, None, noon()).await;
    assert_eq!(outcome.unwrap(), CreateAccount::UsernameTaken);
    assert_sound(&store).await;
}

pub(crate) async fn accounts_are_created_together_each_or_not<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let random = harness.random();
    let ann = account("ann", random);
    store.create_account(ann, None, noon()).await.unwrap();
    let ops = member_of("ops", "bob", random);
    let all = vec![
        ops.clone(),
        Account {
            email: email("ANN@example.com"),
            ..account("other", random)
        },
        Account {
            email: email("a2@example.com"),
            ..account("ann", random)
        },
        Account {
            email: email("Bob@example.com"),
            ..account("bob2", random)
        },
        Account {
            email: email("b2@example.com"),
            ..account("bob", random)
        },
        account("carl", random),
    ];
    let outcomes = [
        CreateAccount::Created,
        CreateAccount::EmailTaken,
        CreateAccount::UsernameTaken,
        CreateAccount::EmailTaken,
        CreateAccount::UsernameTaken,
        CreateAccount::Created,
    ];
    assert_eq!(store.preview_accounts(all.clone()).await.unwrap(), outcomes);
    assert_eq!(
        store.accounts(None, 9).await.unwrap().len(),
        1,
        "a preview makes none"
    );
    assert_eq!(store.create_accounts(all.clone()).await.unwrap(), outcomes);
    assert_eq!(store.preview_accounts(Vec::new()).await.unwrap(), []);
    assert_eq!(store.create_accounts(Vec::new()).await.unwrap(), []);
    assert_eq!(store.accounts(None, 9).await.unwrap().len(), 3);
    assert_eq!(store.account(ops.id).await.unwrap(), Some(ops.clone()));
    assert_eq!(store.group_members("ops").await.unwrap().sound, [ops]);
    let carl = store.account_by_username(&all[5].username).await.unwrap();
    assert_eq!(carl.as_ref(), Some(&all[5]));
    assert_sound(&store).await;
}

pub(crate) async fn accounts_come_in_the_order_they_were_made<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let mut made = Vec::new();
    for n in 0..600_u64 {
        let id = vestibule::ids::AccountId::new(
            super::super::samples::later(noon(), std::time::Duration::from_millis(n)),
            harness.random(),
        );
        let account = Account {
            id,
            ..account(&format!("user{}", 999 - n), harness.random())
        };
        store.create_account(account, None, noon()).await.unwrap();
        made.push(id);
    }
    let ids = |accounts: Vec<Account>| accounts.iter().map(|account| account.id).collect::<Vec<_>>();
    for limit in [1, 256, 257, 600, 1000] {
        let mut listed = Vec::new();
        loop {
            let page = ids(store.accounts(listed.last().copied(), limit).await.unwrap());
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert_eq!(listed, made, "in pages of {limit}");
    }
    assert_eq!(store.accounts(None, 0).await.unwrap(), []);
}

pub(crate) async fn a_group_has_active_members_while_somebody_is_in_it<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = member_of("ops", "ann", harness.random());
    assert!(!store.group_has_active_members("ops").await.unwrap());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    assert!(store.group_has_active_members("ops").await.unwrap());
    for other in ["op", "opss", "", "OPS"] {
        assert!(!store.group_has_active_members(other).await.unwrap(), "{other:?}");
    }

    let moved = Account {
        groups: ["opss".to_owned()].into(),
        ..ann.clone()
    };
    store.update_account(&ann, moved).await.unwrap();
    assert!(!store.group_has_active_members("ops").await.unwrap());
    assert!(store.group_has_active_members("opss").await.unwrap());
    store.delete_account(ann.id).await.unwrap();
    assert!(!store.group_has_active_members("opss").await.unwrap());
    assert_sound(&store).await;
}

pub(crate) async fn a_change_replaces_the_account_that_was_read<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let named = Account {
        name: Some("Ann".to_owned()),
        ..ann.clone()
    };
    let update = |expected: &Account, changed: &Account| {
        let (store, expected, changed) = (store.clone(), expected.clone(), changed.clone());
        async move { store.update_account(&expected, changed).await.unwrap() }
    };
    assert_eq!(update(&ann, &named).await, UpdateAccount::Updated);
    assert_eq!(store.account(ann.id).await.unwrap(), Some(named.clone()));
    assert_eq!(
        update(&ann, &ann).await,
        UpdateAccount::Changed,
        "it was read too early"
    );
    assert_eq!(store.account(ann.id).await.unwrap(), Some(named.clone()));
    store.delete_account(ann.id).await.unwrap();
    assert_eq!(update(&named, &ann).await, UpdateAccount::Changed, "it is gone");
    assert_eq!(store.account(ann.id).await.unwrap(), None);
}

pub(crate) async fn an_edit_is_applied_to_the_account_as_it_is<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let random = harness.random();
    let (ann, bob) = (member_of(ADMINS, "ann", random), account("bob", random));
    for account in [&ann, &bob] {
        store.create_account(account.clone(), None, noon()).await.unwrap();
    }
    let named = Account {
        name: Some("Ann".to_owned()),
        ..ann.clone()
    };
    store.update_account(&ann, named.clone()).await.unwrap();
    let edit = |change: fn(&mut Account) -> bool| {
        let edit = move |account: &mut Account| change(account).then(Vec::new);
        store.edit_account(ann.id, Arc::new(edit))
    };
    let joins = |account: &mut Account| account.groups.insert("ops".to_owned());
    let mut joined = named.clone();
    joined.groups.insert("ops".to_owned());
    let edited = EditAccount::Edited {
        before: Box::new(named),
        after: Box::new(joined.clone()),
    };
    assert_eq!(edit(joins).await.unwrap(), edited);
    assert_eq!(store.account(ann.id).await.unwrap(), Some(joined.clone()));
    assert_eq!(store.group_members("ops").await.unwrap().sound, [joined.clone()]);

    assert_eq!(edit(joins).await.unwrap(), EditAccount::Refused, "it is in there");
    let steps_down = edit(|account| account.groups.remove(ADMINS));
    assert_eq!(steps_down.await.unwrap(), EditAccount::LastMember);
    let moves = edit(|account| {
        account.email = email("BOB@example.com");
        true
    });
    let taken = EditAccount::EmailTaken(email("bob@example.com"));
    assert_eq!(moves.await.unwrap(), taken);
    let renames = edit(|account| {
        account.username = "bob".parse().unwrap();
        true
    });
    let taken = EditAccount::UsernameTaken("bob".parse().unwrap());
    assert_eq!(renames.await.unwrap(), taken);
    assert_eq!(store.account(ann.id).await.unwrap(), Some(joined));
    let nobody = account("nobody", random).id;
    let edit: AccountEdit = Arc::new(|_| Some(Vec::new()));
    let absent = store.edit_account(nobody, edit).await;
    assert_eq!(absent.unwrap(), EditAccount::Absent);
    assert_sound(&store).await;
}

pub(crate) async fn a_change_moves_the_address<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let moved = Account {
        email: email("ann@example.org"),
        ..ann.clone()
    };
    store.update_account(&ann, moved.clone()).await.unwrap();
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), None);
    assert_eq!(store.account_by_email(&moved.email).await.unwrap(), Some(moved));
    let successor = Account {
        email: ann.email,
        ..account("bob", harness.random())
    };
    let outcome = store.create_account(successor, None, noon()).await;
    assert_eq!(outcome.unwrap(), CreateAccount::Created);
    assert_sound(&store).await;
}

pub(crate) async fn a_change_of_case_is_a_change<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let respelled = Account {
        email: email("Ann@example.com"),
        ..ann.clone()
    };
    let outcome = store.update_account(&ann, respelled.clone()).await;
    assert_eq!(outcome.unwrap(), UpdateAccount::Updated);
    let kept = store.account_by_email(&ann.email).await.unwrap().unwrap();
    assert_eq!(kept.email.as_str(), "Ann@example.com");
    let outcome = store.update_account(&ann, respelled).await;
    assert_eq!(outcome.unwrap(), UpdateAccount::Changed);
    assert_sound(&store).await;
}

pub(crate) async fn a_change_cannot_take_an_address<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let (ann, bob) = (account("ann", harness.random()), account("bob", harness.random()));
    for account in [&ann, &bob] {
        store.create_account(account.clone(), None, noon()).await.unwrap();
    }
    let greedy = Account {
        email: email("BOB@example.com"),
        ..ann.clone()
    };
    let outcome = store.update_account(&ann, greedy).await;
    assert_eq!(outcome.unwrap(), UpdateAccount::EmailTaken);
    assert_eq!(store.account(ann.id).await.unwrap(), Some(ann.clone()));
    assert_sound(&store).await;
}

pub(crate) async fn an_account_keeps_the_usernames_that_it_had<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let (ann, bob) = (account("ann", harness.random()), account("bob", harness.random()));
    for account in [&ann, &bob] {
        store.create_account(account.clone(), None, noon()).await.unwrap();
    }
    let called = |account: &Account, name: &str| Account {
        username: name.parse().unwrap(),
        ..account.clone()
    };
    let rename = async |account: &Account, name: &str| {
        let outcome = store.update_account(account, called(account, name)).await;
        (
            outcome.unwrap(),
            store.account(account.id).await.unwrap().unwrap(),
        )
    };
    let former = |account: &Account| -> Vec<String> {
        account.former_usernames.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        rename(&ann, "bob").await,
        (UpdateAccount::UsernameTaken, ann.clone())
    );
    let (outcome, anna) = rename(&ann, "anna").await;
    assert_eq!(outcome, UpdateAccount::Updated);
    assert_eq!(
        (anna.username.as_str(), former(&anna)),
        ("anna", vec!["ann".to_owned()])
    );
    assert_eq!(
        store.account_by_username(&anna.username).await.unwrap(),
        Some(anna.clone())
    );
    assert_eq!(store.account_by_username(&ann.username).await.unwrap(), None);

    // The username stays reserved, after a restart too, and no caller can release it.
    let newcomer = Account {
        email: email("new@example.com"),
        ..account("ann", harness.random())
    };
    let outcome = store.create_account(newcomer.clone(), None, noon()).await;
    assert_eq!(outcome.unwrap(), CreateAccount::UsernameTaken);
    assert_eq!(
        rename(&bob, "ann").await,
        (UpdateAccount::UsernameTaken, bob.clone())
    );
    let forgetful = Account {
        former_usernames: Vec::new(),
        ..anna.clone()
    };
    store.update_account(&anna, forgetful).await.unwrap();
    assert_eq!(store.account(ann.id).await.unwrap(), Some(anna.clone()));

    // Its owner may take it back.
    let (_, ann) = rename(&anna, "ann").await;
    assert_eq!(
        (ann.username.as_str(), former(&ann)),
        ("ann", vec!["anna".to_owned()])
    );
    let (_, annie) = rename(&ann, "annie").await;
    assert_eq!(former(&annie), ["anna", "ann"]);
    assert_sound(&store).await;

    store.delete_account(annie.id).await.unwrap();
    assert_sound(&store).await;
    drop(store);
    let harness = harness.restart(noon());
    let store = harness.store();
    for name in ["ann", "anna", "annie"] {
        let outcome = store.create_account(called(&newcomer, name), None, noon()).await;
        assert_eq!(outcome.unwrap(), CreateAccount::UsernameTaken, "{name}");
    }
}

pub(crate) async fn the_last_active_administrator_stays<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = member_of(ADMINS, "ann", harness.random());
    let disabled = Account {
        status: AccountStatus::Disabled,
        ..member_of(ADMINS, "bob", harness.random())
    };
    for account in [&ann, &disabled] {
        store.create_account(account.clone(), None, noon()).await.unwrap();
    }
    let ways_out = [
        Account {
            groups: ["ops".to_owned()].into(),
            ..ann.clone()
        },
        Account {
            status: AccountStatus::Disabled,
            ..ann.clone()
        },
        Account {
            status: AccountStatus::AwaitingApproval,
            ..ann.clone()
        },
    ];
    for way_out in &ways_out {
        let outcome = store.update_account(&ann, way_out.clone()).await;
        assert_eq!(outcome.unwrap(), UpdateAccount::LastMember, "{way_out:?}");
    }
    let outcome = store.delete_account(ann.id).await;
    assert_eq!(outcome.unwrap(), DeleteAccount::LastMember);
    assert_eq!(store.account(ann.id).await.unwrap(), Some(ann.clone()));

    // The last member may change otherwise, and inactive ones may leave.
    let named = Account {
        name: Some("Ann".to_owned()),
        ..ann.clone()
    };
    let outcome = store.update_account(&ann, named.clone()).await;
    assert_eq!(outcome.unwrap(), UpdateAccount::Updated);
    let outcome = store.delete_account(disabled.id).await;
    assert_eq!(outcome.unwrap(), DeleteAccount::Deleted);

    // With another active one, the first may leave.
    let carl = member_of(ADMINS, "carl", harness.random());
    store.create_account(carl, None, noon()).await.unwrap();
    let outcome = store.delete_account(ann.id).await;
    assert_eq!(outcome.unwrap(), DeleteAccount::Deleted);
    let outcome = store.delete_account(ann.id).await;
    assert_eq!(outcome.unwrap(), DeleteAccount::Absent);
    assert_sound(&store).await;
}

pub(crate) async fn an_account_is_deleted_by_the_password_that_was_proved<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let set = ann.password_changed_at;
    let changed = Account {
        password_changed_at: set + Duration::from_secs(1),
        ..ann.clone()
    };
    let outcome = store.update_account(&ann, changed.clone()).await;
    assert_eq!(outcome.unwrap(), UpdateAccount::Updated);
    let delete = async |at| store.delete_account_with_password(ann.id, at).await.unwrap();
    assert_eq!(delete(Some(set)).await, DeleteAccount::PasswordChanged);
    assert_eq!(
        store.settled_account(ann.id).await.unwrap(),
        Some(changed.clone())
    );
    assert_eq!(
        delete(Some(changed.password_changed_at)).await,
        DeleteAccount::Deleted
    );
    assert_eq!(delete(None).await, DeleteAccount::Absent);
    assert_eq!(store.settled_account(ann.id).await.unwrap(), None);
    assert_sound(&store).await;
}

pub(crate) async fn the_last_administrator_who_may_sign_in_stays<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let strict = store.with_administrators(Administrators::new(ADMINS, true));
    let boss = member_of(ADMINS, "boss", harness.random());
    let unproved = Account {
        email_verified: false,
        ..member_of(ADMINS, "newadm", harness.random())
    };
    for account in [&boss, &unproved] {
        strict
            .create_account(account.clone(), None, noon())
            .await
            .unwrap();
    }
    let stripped = Account {
        groups: ["ops".to_owned()].into(),
        ..boss.clone()
    };
    let outcome = strict.update_account(&boss, stripped).await;
    assert_eq!(outcome.unwrap(), UpdateAccount::LastMember);
    let outcome = strict.delete_account(boss.id).await;
    assert_eq!(outcome.unwrap(), DeleteAccount::LastMember);
    assert!(strict.group_has_active_members(ADMINS).await.unwrap());

    // Without e-mail verification the other one may sign in.
    let outcome = store
        .with_administrators(Administrators::new(ADMINS, false))
        .delete_account(boss.id)
        .await;
    assert_eq!(outcome.unwrap(), DeleteAccount::Deleted);
    assert!(!strict.group_has_active_members(ADMINS).await.unwrap());
    assert!(store.group_has_active_members(ADMINS).await.unwrap());
    let disabled = Account {
        status: AccountStatus::Disabled,
        ..unproved.clone()
    };
    let outcome = store.update_account(&unproved, disabled.clone()).await;
    assert_eq!(outcome.unwrap(), UpdateAccount::LastMember);
    let outcome = strict.update_account(&unproved, disabled).await;
    assert_eq!(outcome.unwrap(), UpdateAccount::Updated);
    assert!(!store.group_has_active_members(ADMINS).await.unwrap());
    assert_sound(&store).await;
}

pub(crate) async fn a_removed_account_takes_its_sessions_and_attempts_along<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let (ann, bob) = (account("ann", harness.random()), account("bob", harness.random()));
    for (n, account) in (0..).zip([&ann, &bob]) {
        store.create_account(account.clone(), None, noon()).await.unwrap();
        for n in [2 * n, 2 * n + 1] {
            let session = session(account.id, n, harness.random());
            store.put_session(session, None).await.unwrap();
        }
        let subject = LockoutSubject::Account(account.id);
        assert_eq!(
            store.record_attempt(subject, POLICY).await.unwrap(),
            AttemptOutcome::Counted(1)
        );
    }
    store.delete_account(ann.id).await.unwrap();
    let left = store.sessions().await.unwrap();
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|session| session.account == bob.id));
    assert_eq!(
        store
            .record_attempt(LockoutSubject::Account(bob.id), POLICY)
            .await
            .unwrap(),
        AttemptOutcome::Counted(2)
    );
    assert_sound(&store).await;
}

pub(crate) async fn accounts_survive_a_restart<H: Harness>() {
    let harness = H::new();
    let ann = member_of("ops", "ann", harness.random());
    harness
        .store()
        .create_account(ann.clone(), None, noon())
        .await
        .unwrap();
    let harness = harness.restart(noon());
    let store = harness.store();
    assert_eq!(
        store.account_by_email(&ann.email).await.unwrap(),
        Some(ann.clone())
    );
    assert_eq!(
        store.account_by_username(&ann.username).await.unwrap(),
        Some(ann.clone())
    );
    assert_eq!(store.accounts(None, 10).await.unwrap(), [ann]);
    assert!(store.group_has_active_members("ops").await.unwrap());
    assert_sound(&store).await;
}

pub(crate) async fn accounts_that_are_there_are_not_created_again<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let accounts = vec![account("ann", harness.random()), account("bob", harness.random())];
    let created = store.create_accounts(accounts.clone()).await.unwrap();
    assert_eq!(created, [CreateAccount::Created; 2]);
    let again = store.create_accounts(accounts).await.unwrap();
    assert_eq!(again, [CreateAccount::EmailTaken; 2]);
    assert_sound(&store).await;
}

pub(crate) async fn a_new_account_had_no_other_username<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let bob = account("bob", harness.random());
    store.create_account(bob.clone(), None, noon()).await.unwrap();
    let renamed = |name: &str| Account {
        former_usernames: vec![bob.username.clone(), "free".parse().unwrap()],
        ..account(name, harness.random())
    };
    let (ann, carl) = (renamed("ann"), renamed("carl"));
    let created = store.create_account(ann.clone(), None, noon()).await;
    assert_eq!(created.unwrap(), CreateAccount::Created);
    let created = store.create_accounts(vec![carl.clone()]).await;
    assert_eq!(created.unwrap(), [CreateAccount::Created]);
    for new in [ann, carl] {
        let kept = store.account(new.id).await.unwrap().unwrap();
        assert_eq!(kept.former_usernames, []);
    }
    let found = store.account_by_username(&bob.username).await.unwrap();
    assert_eq!(found, Some(bob));
    assert_sound(&store).await;
}
