//! Queries for accounts and lockouts.

use std::sync::Arc;
use std::time::Duration;

use vestibule::model::{Account, AccountStatus, LockoutSubject, Session};
use vestibule::store::{AccountFilter, DeleteAccount, Store, UpdateAccount};

use super::super::samples::{ADMINS, POLICY, account, email, later, member_of, noon, session};
use super::{Harness, assert_sound};

async fn keep(store: &Arc<dyn Store>, accounts: &[Account]) {
    for account in accounts {
        store.create_account(account.clone(), None, noon()).await.unwrap();
    }
}

async fn found(store: &Arc<dyn Store>, filter: AccountFilter, page: usize) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let read = store.find_accounts(filter.clone(), after, page).await.unwrap();
        assert!(read.accounts.len() <= page);
        found.extend(read.accounts.iter().map(|account| account.username.to_string()));
        after = read.next;
        if after.is_none() {
            return found;
        }
    }
}

fn text(text: &str) -> AccountFilter {
    AccountFilter {
        text: Some(text.to_owned()),
        ..AccountFilter::default()
    }
}

fn status(status: AccountStatus) -> AccountFilter {
    AccountFilter {
        status: Some(status),
        ..AccountFilter::default()
    }
}

fn group(group: &str) -> AccountFilter {
    AccountFilter {
        group: Some(group.to_owned()),
        ..AccountFilter::default()
    }
}

pub(crate) async fn an_account_is_found_by_the_beginning_of_what_it_is_called<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let random = harness.random();
    let ann = Account {
        name: Some("Ann  Lee-Kim".to_owned()),
        ..account("ann", random)
    };
    let minsu = Account {
        email: email("Director@Example.org"),
        name: Some("김 민수".to_owned()),
        ..account("minsu", random)
    };
    keep(&store, &[ann, minsu, account("annette", random)]).await;
    for (typed, expected) in [
        ("ann", &["ann", "annette"][..]),
        ("ANN@", &["ann"]),
        ("lee", &["ann"]),
        ("ann  lee", &["ann"]),
        ("kim", &[]),
        ("direct", &["minsu"]),
        (" 민수 ", &["minsu"]),
        ("김 민", &["minsu"]),
        ("nn", &[]),
        ("zzz", &[]),
    ] {
        for page in [1, 50] {
            let mut seen = found(&store, text(typed), page).await;
            seen.sort();
            assert_eq!(seen, expected, "{typed:?}");
        }
    }
    assert_eq!(found(&store, text(" "), 2).await.len(), 3, "nothing is asked for");
    assert_sound(&store).await;
}

pub(crate) async fn an_account_is_found_by_all_of_a_long_name<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let name = "Ann ".to_owned() + &"é".repeat(300);
    let ann = Account {
        name: Some(name.clone()),
        ..account("ann", harness.random())
    };
    keep(&store, &[ann]).await;
    for typed in [&name[..], &name[4..], &name[..name.len() - 2]] {
        assert_eq!(found(&store, text(typed), 1).await, ["ann"], "{typed}");
    }
    assert!(found(&store, text(&"é".repeat(2)), 1).await == ["ann"]);
    assert_sound(&store).await;
}

pub(crate) async fn what_an_account_is_found_by_follows_it<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = account("ann", harness.random());
    keep(&store, std::slice::from_ref(&ann)).await;
    let changed = Account {
        email: email("lee@example.com"),
        name: Some("Director".to_owned()),
        status: AccountStatus::Disabled,
        groups: ["ops".to_owned()].into(),
        ..ann.clone()
    };
    let updated = store.update_account(&ann, changed, ADMINS).await.unwrap();
    assert_eq!(updated, UpdateAccount::Updated);
    assert_sound(&store).await;
    let gone = found(&store, text("ann@"), 9).await;
    assert!(gone.is_empty(), "{gone:?}");
    for filter in [
        text("lee"),
        text("dir"),
        status(AccountStatus::Disabled),
        group("ops"),
    ] {
        assert_eq!(found(&store, filter.clone(), 9).await, ["ann"], "{filter:?}");
    }
    assert!(found(&store, status(AccountStatus::Active), 9).await.is_empty());

    let deleted = store.delete_account(ann.id, ADMINS).await.unwrap();
    assert_eq!(deleted, DeleteAccount::Deleted);
    for filter in [
        text("lee"),
        text("ann"),
        status(AccountStatus::Disabled),
        group("ops"),
    ] {
        assert!(found(&store, filter.clone(), 9).await.is_empty(), "{filter:?}");
    }
    assert_sound(&store).await;
}

pub(crate) async fn filters_are_combined_and_pages_are_whole<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let random = harness.random();
    let mut accounts: Vec<Account> = (0..120)
        .map(|n| {
            member_of(
                if n % 2 == 0 { "ops" } else { "dev" },
                &format!("user{n:03}"),
                random,
            )
        })
        .collect();
    for account in accounts.iter_mut().step_by(3) {
        account.status = AccountStatus::AwaitingApproval;
    }
    keep(&store, &accounts).await;
    let names = |wanted: &dyn Fn(usize) -> bool| -> Vec<String> {
        (0..120)
            .filter(|n| wanted(*n))
            .map(|n| format!("user{n:03}"))
            .collect()
    };
    let both = AccountFilter {
        text: Some("user".to_owned()),
        status: Some(AccountStatus::AwaitingApproval),
        group: Some("ops".to_owned()),
        ..AccountFilter::default()
    };
    let sixth = names(&|n| n % 6 == 0);
    for filter in [both.clone(), AccountFilter { text: None, ..both }] {
        for page in [1, 7, 50] {
            let mut seen = found(&store, filter.clone(), page).await;
            seen.sort();
            assert_eq!(seen, sixth, "{filter:?}");
        }
    }
    let mut waiting = found(&store, status(AccountStatus::AwaitingApproval), 50).await;
    waiting.sort();
    assert_eq!(waiting, names(&|n| n % 3 == 0));
    let mut ops = found(
        &store,
        AccountFilter {
            status: Some(AccountStatus::Active),
            ..group("ops")
        },
        50,
    )
    .await;
    ops.sort();
    assert_eq!(ops, names(&|n| n % 2 == 0 && n % 3 != 0));
    let nonsense = store
        .find_accounts(text("user"), Some("!!".to_owned()), 5)
        .await
        .unwrap();
    assert_eq!(
        nonsense.accounts.len(),
        5,
        "a place that is none leads to the beginning"
    );
}

pub(crate) async fn locks_in_force_are_listed<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let (ann, bob) = (account("ann", harness.random()), account("bob", harness.random()));
    keep(&store, &[ann.clone(), bob.clone()]).await;
    for (subject, times) in [
        (LockoutSubject::Account(ann.id), 11),
        (LockoutSubject::Account(bob.id), 10),
        (LockoutSubject::unknown("nobody"), 11),
    ] {
        for _ in 0..times {
            store.record_attempt(subject, POLICY).await.unwrap();
        }
    }
    let locks = store.locks(POLICY).await.unwrap();
    assert_eq!(locks.accounts, [(ann.id, POLICY.duration)]);
    assert_eq!((locks.access_keys.len(), locks.unknown), (0, 1));
    let (second, hand) = (Duration::from_secs(1), harness.hand());
    hand.advance(POLICY.duration.saturating_sub(second));
    assert_eq!(store.locks(POLICY).await.unwrap().accounts, [(ann.id, second)]);
    hand.advance(second);
    let locks = store.locks(POLICY).await.unwrap();
    assert!(locks.accounts.is_empty() && locks.unknown == 0, "{locks:?}");
}

pub(crate) async fn groups_are_listed_with_their_members_counted<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let random = harness.random();
    let groups = async || {
        let groups = store.groups().await.unwrap().into_iter();
        groups
            .map(|(name, count)| format!("{name} {count}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(groups().await, [""; 0]);
    let of = |groups: [&str; 2], name: &str| Account {
        groups: groups.map(str::to_owned).into(),
        ..account(name, random)
    };
    let (ann, bob) = (of(["ops", "이용자"], "ann"), of(["ops", "opsx"], "bob"));
    keep(&store, &[ann.clone(), bob.clone(), account("carol", random)]).await;
    assert_eq!(groups().await, ["ops 2", "opsx 1", "이용자 1"]);
    let left = Account {
        groups: ["opsx".to_owned()].into(),
        ..ann.clone()
    };
    store.update_account(&ann, left, ADMINS).await.unwrap();
    assert_eq!(groups().await, ["ops 1", "opsx 2"]);
    store.delete_account(bob.id, ADMINS).await.unwrap();
    assert_eq!(groups().await, ["opsx 1"]);
    assert_sound(&store).await;
}

pub(crate) async fn accounts_are_found_whose_owners_have_not_signed_in_for_long<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let random = harness.random();
    let hour = |hours: u64| later(noon(), Duration::from_hours(hours));
    let made_at = |name: &str, at| Account {
        created_at: at,
        ..account(name, random)
    };
    // One who never came, one who came once, one who came of late, one who is new.
    let names = ["ann", "bob", "carol", "dan"];
    let accounts =
        [("ann", 0), ("bob", 0), ("carol", 0), ("dan", 9)].map(|(name, at)| made_at(name, hour(at)));
    keep(&store, &accounts).await;
    for (n, (account, at)) in [(1, (&accounts[1], 2)), (2, (&accounts[2], 8))] {
        let begun = Session {
            created_at: hour(at),
            ..session(account.id, n, random)
        };
        store.put_session(begun, None).await.unwrap();
    }
    let since = |hours| AccountFilter {
        inactive_since: Some(hour(hours)),
        ..AccountFilter::default()
    };
    for (hours, expected) in [(0, 0), (1, 1), (2, 1), (3, 2), (8, 2), (9, 3), (10, 4)] {
        for page in [1, 50] {
            let mut seen = found(&store, since(hours), page).await;
            seen.sort();
            assert_eq!(seen, names[..expected], "since hour {hours}, {page} on a page");
        }
    }
    let combined = AccountFilter {
        text: Some("b".to_owned()),
        ..since(10)
    };
    assert_eq!(found(&store, combined, 50).await, ["bob"]);
    assert_sound(&store).await;
}
