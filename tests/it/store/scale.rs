//! The embedded store with many rows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use vestibule::clock::Clock;
use vestibule::model::LockoutSubject;
use vestibule::random::Random;
use vestibule::store::sled::SledStore;
use vestibule::store::{AccountStore as _, AttemptOutcome, AttemptStore as _, Store};

use super::samples::{POLICY, account, noon};
use crate::harness::in_full;

/// S13: attempts at unknown names fill a bounded table, not the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_belong_to_nobody_take_bounded_room() {
    let names = if in_full() { 10_000_000 } else { 120_000 };
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open(folder.path(), Clock::system()).unwrap());
    let ann = account("ann", &Random::seeded(1));
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    let known = LockoutSubject::Account(ann.id);
    store.record_attempt(known, POLICY).await.unwrap();

    // More than one group holds, so that every group is full.
    try_names(&store, names, 600).await;

    let attempt = store.record_attempt(known, POLICY).await.unwrap();
    assert_eq!(
        attempt,
        AttemptOutcome::Counted(2),
        "an account's failures are never pushed out"
    );
    let faults = store.verify().await.unwrap().faults;
    assert_eq!(faults, Vec::<String>::new());
    Arc::into_inner(store).unwrap().close();

    let bytes = size(folder.path());
    eprintln!("{names} names: {} MiB on disk", bytes >> 20);
    assert!(bytes < 200 << 20, "{bytes} bytes on disk");
    let db = ::sled::open(folder.path()).unwrap();
    let slots = db.scan_prefix(b"u").count();
    assert!((60_000..=65_536).contains(&slots), "{slots} slots");
}

/// With this many concurrent clients.
async fn try_names(store: &Arc<SledStore>, names: u64, clients: u32) {
    let mut tasks = JoinSet::new();
    for first in 0..clients {
        let store = store.clone();
        tasks.spawn(async move {
            for n in (u64::from(first)..names).step_by(clients as usize) {
                let subject = LockoutSubject::unknown(&n.to_string());
                store.record_attempt(subject, POLICY).await.unwrap();
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

/// Returns the size of the folder, in bytes.
fn size(path: &Path) -> u64 {
    let about = std::fs::metadata(path).unwrap();
    let within = if about.is_dir() {
        let entries = std::fs::read_dir(path).unwrap();
        entries.map(|entry| size(&entry.unwrap().path())).sum()
    } else {
        0
    };
    about.len() + within
}

/// Measures writes, alone and in groups. For people to read; it fails only if something is badly wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_grouped() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let store = Arc::new(SledStore::open(folder.path(), clock.clone()).unwrap());

    let mut alone = Vec::new();
    for n in 0..500_u32 {
        let began = clock.monotonic();
        let subject = LockoutSubject::unknown(&format!("alone {n}"));
        store.record_attempt(subject, POLICY).await.unwrap();
        alone.push(clock.monotonic().saturating_sub(began));
    }
    alone.sort();
    let (median, p99) = (alone[250], alone[495]);

    let (writes, began) = (20_000_u32, clock.monotonic());
    try_names(&store, u64::from(writes), 64).await;
    let each = clock.monotonic().saturating_sub(began) / writes;
    eprintln!(
        "alone: {median:?} median, {p99:?} p99; 64 tasks: {:.0} writes/s",
        Duration::from_secs(1).div_duration_f64(each)
    );
    assert!(each < median, "{each:?} in a group, {median:?} alone");
}
