//! Queries for accounts and lockouts.

use std::sync::Arc;
use std::time::Duration;

use vestibule::model::{Account, AccountStatus, LockoutSubject};
use vestibule::store::{AccountFilter, DeleteAccount, Store, UpdateAccount};

use super::super::samples::{ADMINS, POLICY, account, email, member_of, noon};
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
