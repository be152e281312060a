//! Queries for accounts and lockouts.

use std::sync::Arc;
use std::time::Duration;

use vestibule::model::{Account, AccountStatus, LockoutSubject, Session};
use vestibule::store::{
    AccountFilter, AccountOrder, AccountQuery, AccountSort, DeleteAccount, Store, StoreError, UpdateAccount,
};

use super::super::samples::{POLICY, account, email, later, member_of, noon, session};
use super::{Harness, assert_sound};

async fn keep(store: &Arc<dyn Store>, accounts: &[Account]) {
    for account in accounts {
        store.create_account(account.clone(), None, noon()).await.unwrap();
    }
}

async fn found(store: &Arc<dyn Store>, filter: AccountFilter, page: usize) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let query = AccountQuery {
            filter: filter.clone(),
            after,
            limit: page,
            ..AccountQuery::default()
        };
        let read = store.find_accounts(query).await.unwrap();
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
    let updated = store.update_account(&ann, changed).await.unwrap();
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

    let deleted = store.delete_account(ann.id).await.unwrap();
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
    store.update_account(&ann, left).await.unwrap();
    assert_eq!(groups().await, ["ops 1", "opsx 2"]);
    store.delete_account(bob.id).await.unwrap();
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

/// The usernames on all pages, there and back.
async fn there_and_back(store: &Arc<dyn Store>, query: &AccountQuery) -> (Vec<String>, Vec<String>) {
    let names = |accounts: &[Account]| -> Vec<String> {
        accounts
            .iter()
            .map(|account| account.username.to_string())
            .collect()
    };
    let read = async |after: Option<String>, before: Option<String>| {
        let query = AccountQuery {
            after,
            before,
            ..query.clone()
        };
        store.find_accounts(query).await.unwrap()
    };
    let mut page = read(None, None).await;
    assert_eq!(page.previous, None, "{query:?}: the first page");
    let (mut there, mut last) = (names(&page.accounts), names(&page.accounts));
    while let Some(next) = page.next.clone() {
        page = read(Some(next), None).await;
        last = names(&page.accounts);
        there.extend(last.clone());
    }
    let mut back = last;
    while let Some(previous) = page.previous.clone() {
        page = read(None, Some(previous)).await;
        assert!(page.next.is_some(), "{query:?}: there was one after it");
        back.splice(..0, names(&page.accounts));
    }
    (there, back)
}

#[expect(clippy::too_many_lines, reason = "one story")]
pub(crate) async fn accounts_are_sorted_and_counted_page_by_page<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let random = harness.random();
    let made = |name: &str, called: Option<&str>, address: &str, groups: &[&str]| Account {
        name: called.map(str::to_owned),
        email: email(address),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..account(name, random)
    };
    let accounts = [
        made("dora", Some("Zoë"), "b@example.com", &["ops"]),
        made("carl", None, "d@example.com", &[]),
        made("bea", Some("ann"), "C@example.com", &["ops", "dev"]),
        made("adam", Some("김민수"), "a@example.com", &["dev"]),
        made("eve", Some("Ann"), "e@example.com", &["ops"]),
    ];
    keep(&store, &accounts).await;
    for (n, hours) in [(2, 3), (0, 5)] {
        let begun = Session {
            created_at: later(noon(), Duration::from_hours(hours)),
            ..session(accounts[n].id, u64::try_from(n).unwrap(), random)
        };
        store.put_session(begun, None).await.unwrap();
    }
    let mut by_id: Vec<&Account> = accounts.iter().collect();
    by_id.sort_by_key(|account| account.id);
    let created: Vec<&str> = by_id.iter().map(|account| account.username.as_str()).collect();
    let of_id = |names: &[&str]| -> Vec<String> {
        let sorted = created.iter().filter(|name| names.contains(name));
        sorted.map(ToString::to_string).collect()
    };
    let text = |names: &[&str]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
    let ops = ["dora", "bea", "eve"];
    for (by, all, in_ops) in [
        (None, of_id(&["dora", "carl", "bea", "adam", "eve"]), of_id(&ops)),
        (
            Some(AccountSort::Created),
            of_id(&["dora", "carl", "bea", "adam", "eve"]),
            of_id(&ops),
        ),
        (
            Some(AccountSort::Email),
            text(&["adam", "dora", "bea", "carl", "eve"]),
            text(&["dora", "bea", "eve"]),
        ),
        (
            Some(AccountSort::Name),
            [of_id(&["bea", "eve"]), text(&["carl", "dora", "adam"])].concat(),
            [of_id(&["bea", "eve"]), text(&["dora"])].concat(),
        ),
        (
            Some(AccountSort::LastSignIn),
            [of_id(&["carl", "adam", "eve"]), text(&["bea", "dora"])].concat(),
            text(&["eve", "bea", "dora"]),
        ),
    ] {
        for (filter, expected) in [
            (AccountFilter::default(), &all),
            (group("ops"), &in_ops),
            (status(AccountStatus::Active), &all),
            (
                AccountFilter {
                    status: Some(AccountStatus::Active),
                    ..group("ops")
                },
                &in_ops,
            ),
        ] {
            for (descending, limit) in [
                (false, 1),
                (false, 2),
                (false, 9),
                (true, 1),
                (true, 2),
                (true, 9),
            ] {
                let query = AccountQuery {
                    filter: filter.clone(),
                    order: by.map(|by| AccountOrder { by, descending }),
                    limit,
                    ..AccountQuery::default()
                };
                let mut expected = expected.clone();
                if descending && by.is_some() {
                    expected.reverse();
                }
                let (there, back) = there_and_back(&store, &query).await;
                assert_eq!((&there, &back), (&expected, &expected), "{query:?}");
                let page = store.find_accounts(query.clone()).await.unwrap();
                assert_eq!(page.total, Some(expected.len()), "{query:?}");
            }
        }
    }
    let called = AccountQuery {
        filter: self::text("ann"),
        order: Some(AccountOrder {
            by: AccountSort::Email,
            descending: true,
        }),
        limit: 1,
        ..AccountQuery::default()
    };
    let (there, back) = there_and_back(&store, &called).await;
    assert_eq!((there, back), (text(&["eve", "bea"]), text(&["eve", "bea"])));
    assert_eq!(store.find_accounts(called).await.unwrap().total, Some(2));
    assert_sound(&store).await;
}

pub(crate) async fn a_search_of_many_is_read_by_its_terms_page_by_page<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let random = harness.random();
    let mut accounts: Vec<Account> = (0..600)
        .map(|n| account(&format!("user{n:03}"), random))
        .collect();
    for (n, account) in accounts.iter_mut().enumerate().step_by(3) {
        account.name = Some(format!("User{n} USER"));
    }
    store.create_accounts(accounts.clone()).await.unwrap();
    // Their usernames stay, and belong to no account.
    for gone in accounts.iter().step_by(4) {
        store.delete_account(gone.id).await.unwrap();
    }
    let renamed = Account {
        username: "zoe".parse().unwrap(),
        former_usernames: vec!["user001".parse().unwrap()],
        ..accounts[1].clone()
    };
    store.update_account(&accounts[1], renamed.clone()).await.unwrap();
    accounts[1] = renamed;
    let mut expected: Vec<_> = accounts
        .iter()
        .enumerate()
        .filter(|(n, _)| n % 4 > 0)
        .map(|(_, account)| {
            let mut terms = AccountFilter::terms(account).into_iter();
            let first = terms.find(|term| term.starts_with("user"));
            (first.unwrap(), account.id, account.username.to_string())
        })
        .collect();
    expected.sort();
    let expected: Vec<String> = expected.into_iter().map(|(_, _, username)| username).collect();
    for limit in [37, 449, 450, 500] {
        let query = AccountQuery {
            filter: text("user"),
            limit,
            ..AccountQuery::default()
        };
        let (there, back) = there_and_back(&store, &query).await;
        assert_eq!((&there, &back), (&expected, &expected), "{limit} on a page");
    }
    // Sorted by names and, without one, by usernames, which accounts with a name have as well.
    let live = accounts.iter().enumerate().filter(|(n, _)| n % 4 > 0);
    let mut by_name: Vec<_> = live
        .map(|(_, account)| {
            let username = account.username.to_string();
            let name = account.name.as_ref().unwrap_or(&username).to_lowercase();
            (name, account.id, username)
        })
        .collect();
    by_name.sort();
    let mut by_name: Vec<String> = by_name.into_iter().map(|(_, _, username)| username).collect();
    for descending in [false, true] {
        for limit in [37, 450, 500] {
            let query = AccountQuery {
                order: Some(AccountOrder {
                    by: AccountSort::Name,
                    descending,
                }),
                limit,
                ..AccountQuery::default()
            };
            let (there, back) = there_and_back(&store, &query).await;
            assert_eq!((&there, &back), (&by_name, &by_name), "{query:?}");
        }
        by_name.reverse();
    }
    assert_sound(&store).await;
}

pub(crate) async fn counts_follow_the_accounts<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let random = harness.random();
    let (ann, bob) = (member_of("ops", "ann", random), member_of("ops", "bob", random));
    keep(&store, &[ann.clone(), bob.clone(), account("carol", random)]).await;
    let count = async |filter: AccountFilter| {
        let query = AccountQuery {
            filter,
            limit: 1,
            ..AccountQuery::default()
        };
        store.find_accounts(query).await.unwrap().total
    };
    assert_eq!(count(AccountFilter::default()).await, Some(3));
    let changed = Account {
        status: AccountStatus::Disabled,
        groups: ["dev".to_owned()].into(),
        ..ann.clone()
    };
    store.update_account(&ann, changed).await.unwrap();
    store.delete_account(bob.id).await.unwrap();
    for (filter, expected) in [
        (AccountFilter::default(), 2),
        (status(AccountStatus::Disabled), 1),
        (status(AccountStatus::Active), 1),
        (group("ops"), 0),
        (group("dev"), 1),
    ] {
        assert_eq!(count(filter.clone()).await, Some(expected), "{filter:?}");
    }
    store.sweep(noon(), noon()).await.unwrap();
    assert_eq!(count(AccountFilter::default()).await, Some(2));
    assert_sound(&store).await;
}

pub(crate) async fn a_cursor_of_another_query_is_refused<H: Harness>() {
    let harness = H::new();
    let (store, random) = (harness.store(), harness.random());
    keep(&store, &["ann", "bob", "cat"].map(|name| account(name, random))).await;
    let by_email = AccountQuery {
        order: Some(AccountOrder {
            by: AccountSort::Email,
            descending: false,
        }),
        limit: 1,
        ..AccountQuery::default()
    };
    let next = store.find_accounts(by_email.clone()).await.unwrap().next;
    for cursor in [next.clone().unwrap(), "nonsense".to_owned(), "0".to_owned()] {
        for is_backward in [false, true] {
            let by_time = AccountQuery {
                after: Some(cursor.clone()).filter(|_| !is_backward),
                before: Some(cursor.clone()).filter(|_| is_backward),
                limit: 1,
                ..AccountQuery::default()
            };
            let read = store.find_accounts(by_time).await;
            assert!(
                matches!(read, Err(StoreError::UnknownCursor)),
                "{cursor}: {read:?}"
            );
        }
    }
    let second = AccountQuery {
        after: next,
        ..by_email
    };
    let second = store.find_accounts(second).await.unwrap();
    assert_eq!(second.accounts[0].username.as_str(), "bob");
}
