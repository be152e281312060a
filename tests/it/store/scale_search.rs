//! Searching for an account among a million.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use vestibule::clock::Clock;
use vestibule::model::{Account, AccountStatus};
use vestibule::random::Random;
use vestibule::store::postgres::PostgresStore;
use vestibule::store::sled::SledStore;
use vestibule::store::{
    AccountFilter, AccountOrder, AccountQuery, AccountSort, AccountStore as _, AdminQueryStore as _, Store,
};

use super::samples::{account, noon};
use crate::harness::{Cluster, in_full};

/// Every search on the administrators' page responds in time, whatever it finds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_found_among_very_many() {
    let count: u32 = if in_full() { 1_000_000 } else { 5_000 };
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let store = Arc::new(SledStore::open(folder.path(), clock.clone()).unwrap());
    fill(&store, count).await;

    let filter = |text: &str, status, group: &str| AccountFilter {
        text: Some(text.to_owned()),
        status,
        group: Some(group.to_owned()).filter(|group| !group.is_empty()),
        ..AccountFilter::default()
    };
    for (wanted, filter) in [
        (50, filter("", None, "")),
        (50, filter("user", None, "")),
        (1, filter("user0004999@", None, "")),
        (1, filter("kim-0004999", None, "")),
        (0, filter("nobody", None, "")),
        (50, filter("", Some(AccountStatus::Active), "")),
        (5, filter("", Some(AccountStatus::Disabled), "")),
        (5, filter("", Some(AccountStatus::Disabled), "many")),
        (1, filter("", None, "few")),
        (50, filter("", None, "many")),
        // No match: the page ends before all are scanned.
        (0, filter("user", Some(AccountStatus::Declined), "few")),
    ] {
        let mut times = Vec::new();
        for _ in 0..5 {
            let began = clock.monotonic();
            let page = store.find_accounts(query(filter.clone(), None)).await.unwrap();
            times.push(clock.monotonic().saturating_sub(began));
            assert_eq!(page.accounts.len(), wanted, "{filter:?}");
        }
        times.sort();
        eprintln!(
            "{count} accounts, {filter:?}: {:?} median, {:?} worst",
            times[2], times[4]
        );
        if in_full() {
            assert!(times[2] < Duration::from_millis(100), "{filter:?}: {times:?}");
        }
    }
}

fn query(filter: AccountFilter, order: Option<AccountOrder>) -> AccountQuery {
    AccountQuery {
        filter,
        order,
        limit: 50,
        ..AccountQuery::default()
    }
}

/// Every list of the administrators' pages responds in time, in either store: along an index, and counted without being
/// read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_very_many_accounts_costs_no_more_than_of_few() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let sled: Arc<dyn Store> = Arc::new(SledStore::open(folder.path(), clock.clone()).unwrap());
    let cluster = Cluster::shared();
    let server = cluster.server(&cluster.database());
    let postgres: Arc<dyn Store> = Arc::new(PostgresStore::open(&server, clock.clone()).await.unwrap());
    // More than one call may examine.
    let count: usize = if in_full() { 100_000 } else { 6_000 };
    for (name, store) in [("sled", sled), ("postgres", postgres)] {
        let random = Random::seeded(1);
        for first in (0..count).step_by(500) {
            let batch = (first..first + 500).map(|n| Account {
                name: Some(format!("Minsu Kim-{n:07}")),
                groups: [if n % 100 == 7 { "few" } else { "many" }.to_owned()].into(),
                status: if n % 10 == 1 {
                    AccountStatus::Disabled
                } else {
                    AccountStatus::Active
                },
                ..account(&format!("user{n:07}"), &random)
            });
            store.create_accounts(batch.collect()).await.unwrap();
        }
        let filter = |status, group: &str| AccountFilter {
            status,
            group: Some(group.to_owned()).filter(|group| !group.is_empty()),
            ..AccountFilter::default()
        };
        let orders = AccountSort::ALL.map(|by| Some(AccountOrder { by, descending: true }));
        for order in orders.into_iter().chain([None]) {
            for (total, filter) in [
                (count, filter(None, "")),
                (count / 10, filter(Some(AccountStatus::Disabled), "")),
                (count / 100, filter(None, "few")),
                (count - count / 100, filter(None, "many")),
            ] {
                let mut asked = query(filter, order);
                let (mut times, mut left) = (Vec::new(), total);
                for _ in 0..5 {
                    let began = clock.monotonic();
                    let page = store.find_accounts(asked.clone()).await.unwrap();
                    times.push(clock.monotonic().saturating_sub(began));
                    assert_eq!(page.total, Some(total), "{name}: {asked:?}");
                    assert_eq!(page.accounts.len(), 50.min(left), "{name}: {asked:?}");
                    // A page in the middle costs as much as the first, which follows the last.
                    left = if page.next.is_some() { left - 50 } else { total };
                    asked.after = page.next;
                }
                times.sort();
                eprintln!(
                    "{name}: {count} accounts, {asked:?}: {:?} median, {:?} worst",
                    times[2], times[4]
                );
                assert!(
                    times[2] < Duration::from_millis(if in_full() { 100 } else { 1_000 }),
                    "{name} {asked:?}: {times:?}"
                );
            }
        }
        let began = clock.monotonic();
        let groups = store.groups().await.unwrap();
        assert_eq!(groups.into_values().sum::<usize>(), count);
        eprintln!("{name}: groups in {:?}", clock.monotonic().saturating_sub(began));
    }
}

async fn fill(store: &Arc<SledStore>, count: u32) {
    const TASKS: u32 = 128;
    let mut tasks = JoinSet::new();
    for first in 0..TASKS {
        let store = store.clone();
        tasks.spawn(async move {
            let random = Random::seeded(first.into());
            for n in (first..count).step_by(TASKS as usize) {
                let made = Account {
                    name: Some(format!("Minsu Kim-{n:07}")),
                    groups: [if n == 7 { "few" } else { "many" }.to_owned()].into(),
                    status: if n % (count / 5) == 1 {
                        AccountStatus::Disabled
                    } else {
                        AccountStatus::Active
                    },
                    ..account(&format!("user{n:07}"), &random)
                };
                store.create_account(made, None, noon()).await.unwrap();
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}
