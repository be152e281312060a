//! The embedded store with damaged files.

use std::fs;
use std::path::{Path, PathBuf};

use vestibule::clock::Clock;
use vestibule::store::postgres::PostgresStore;
use vestibule::store::sled::SledStore;
use vestibule::store::{
    AccountStore as _, DamagedStore, ExportWriter, Losses, PortableStore as _, Salvage, SessionStore as _,
    Store, StoreError,
};

use super::conformance::Harness;
use super::samples::{account, noon, session};
use super::sled::Sled;
use crate::harness::Cluster;

/// Enough to spread over many pages of the file.
const ACCOUNTS: usize = 3000;

/// A folder with a closed store of many accounts, and a snapshot of the engine's.
async fn filled() -> tempfile::TempDir {
    let harness = Sled::new();
    let random = harness.random().clone();
    let names = (0..ACCOUNTS).map(|n| format!("person{n:04}"));
    let mut accounts: Vec<_> = names.map(|name| account(&name, &random)).collect();
    let last = accounts.pop().unwrap();
    for accounts in accounts.chunks(100) {
        harness.store().create_accounts(accounts.to_vec()).await.unwrap();
    }
    // The snapshot is written at a start, and what follows is only in the log.
    let harness = harness.restart(noon());
    harness.store().create_accounts(vec![last]).await.unwrap();
    harness.close()
}

fn snapshots(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("snap."))
        .collect()
}

fn flip(path: &Path, places: impl Fn(&[u8]) -> Vec<usize>) {
    let mut bytes = fs::read(path).unwrap();
    let places = places(&bytes);
    assert!(!places.is_empty());
    for place in places {
        bytes[place] ^= 0xFF;
    }
    fs::write(path, bytes).unwrap();
}

async fn count(store: &SledStore) -> usize {
    store.verify().await.unwrap().accounts
}

/// Returns the lines that can be read, and the losses.
pub(super) async fn salvaged(folder: &Path) -> (Vec<String>, Losses) {
    let scratch = tempfile::tempdir().unwrap();
    let read = read(SledStore::salvage(folder, scratch.path()).unwrap()).await;
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    read
}

async fn read(from: Box<dyn DamagedStore>) -> (Vec<String>, Losses) {
    let mut salvage = Salvage::new(from, noon());
    let mut lines = Vec::new();
    while let Some(more) = salvage.file.lines().await.unwrap() {
        lines.extend(String::from_utf8(more).unwrap().lines().map(str::to_owned));
    }
    let losses = salvage.losses();
    (lines, losses)
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_is_done_without() {
    for damage in [
        |path: &Path| flip(path, |bytes| vec![bytes.len() / 2]),
        |path: &Path| fs::write(path, b"").unwrap(),
        |path: &Path| fs::write(path, b"\xff".repeat(100)).unwrap(),
    ] {
        let folder = filled().await;
        let found = snapshots(folder.path());
        assert_eq!(found.len(), 1);
        damage(&found[0]);
        let store = SledStore::open(folder.path(), Clock::system()).unwrap();
        assert_eq!(count(&store).await, ACCOUNTS);
        store.close();
        let store = SledStore::open(folder.path(), Clock::system()).unwrap();
        assert_eq!(count(&store).await, ACCOUNTS);
        assert!(!folder.path().join("trial").exists());
    }
}

#[tokio::test]
async fn a_snapshot_that_the_log_does_not_bear_out_stays() {
    let folder = filled().await;
    let found = snapshots(folder.path());
    flip(&found[0], |bytes| vec![bytes.len() / 2]);
    // The end of the log is missing too.
    let db = folder.path().join("db");
    let bytes = fs::read(&db).unwrap();
    fs::write(&db, &bytes[..bytes.len() / 2]).unwrap();
    let damaged = (fs::read(&db).unwrap(), fs::read(&found[0]).unwrap());
    let refused = SledStore::open(folder.path(), Clock::system()).unwrap_err();
    let StoreError::Corrupt(why) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains(db.to_str().unwrap()), "{why}");
    assert_eq!(damaged, (fs::read(&db).unwrap(), fs::read(&found[0]).unwrap()));
}

#[tokio::test]
async fn what_can_be_read_of_a_damaged_file_is_salvaged() {
    let harness = Sled::new();
    let random = harness.random().clone();
    let names = (0..ACCOUNTS).map(|n| format!("person{n:04}"));
    let accounts = names.map(|name| account(&name, &random)).collect();
    harness.store().create_accounts(accounts).await.unwrap();
    let folder = harness.restart(noon()).close();
    let db = folder.path().join("db");
    // Far before the snapshot: the engine opens no log that is damaged after it.
    flip(&db, |bytes| {
        let all = (1..ACCOUNTS - 1).map(|n| {
            let text = format!("person{n:04}@example.com");
            memchr::memmem::find_iter(bytes, &text).collect()
        });
        let mut early = all.filter(|places: &Vec<usize>| places.iter().all(|&at| at < bytes.len() / 2));
        early.find(|places| !places.is_empty()).unwrap()
    });
    let damaged = fs::read(&db).unwrap();

    let (lines, losses) = salvaged(folder.path()).await;
    assert_eq!(fs::read(&db).unwrap(), damaged, "a copy is read");
    let accounts = lines
        .iter()
        .filter(|line| line.starts_with("{\"account\""))
        .count();
    assert!(
        (ACCOUNTS / 2..ACCOUNTS).contains(&accounts),
        "{accounts}: {losses:?}"
    );
    assert!(losses.unreadable > 0 && !losses.faults.is_empty(), "{losses:?}");
    for name in ["person0000", "person2999"] {
        let has = lines.iter().any(|line| line.contains(&format!("\"{name}\"")));
        assert!(has, "{name}");
    }
}

#[tokio::test]
async fn a_store_that_is_sound_is_salvaged_as_a_whole() {
    let folder = filled().await;
    let (lines, losses) = salvaged(folder.path()).await;
    assert_eq!((losses.unreadable, losses.left_out), (0, 0), "{losses:?}");
    let store = SledStore::open(folder.path(), Clock::system()).unwrap();
    assert!(matches!(
        SledStore::salvage(folder.path(), folder.path()),
        Err(StoreError::Refused(_))
    ));
    let mut export = ExportWriter::new(store.export().await.unwrap(), noon());
    let mut exported = String::new();
    while let Some(more) = export.lines().await.unwrap() {
        exported += &String::from_utf8(more).unwrap();
    }
    assert_eq!(lines, exported.lines().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_database_that_cannot_be_read_are_passed_over() {
    let cluster = Cluster::shared();
    let database = cluster.database();
    let server = cluster.server(&database);
    let random = vestibule::random::Random::seeded(1);
    let (ann, bob) = (account("ann", &random), account("bob", &random));
    let store = PostgresStore::open(&server, Clock::system()).await.unwrap();
    let sessions = [session(ann.id, 1, &random), session(bob.id, 2, &random)];
    store
        .create_accounts(vec![ann.clone(), bob.clone()])
        .await
        .unwrap();
    for session in sessions {
        store.put_session(session, None).await.unwrap();
    }
    drop(store);
    let damage = "UPDATE account SET record = '{}' WHERE email = 'bob@example.com'";
    cluster.sql(&database, damage);

    let (lines, losses) = read(PostgresStore::salvage(&server).await.unwrap()).await;
    assert_eq!((losses.unreadable, losses.left_out), (1, 1), "{losses:?}");
    let accounts: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("{\"account\""))
        .collect();
    assert_eq!(accounts.len(), 1);
    assert!(accounts[0].contains("\"ann\""), "{accounts:?}");
    let is_retired = |line: &&String| line.starts_with("{\"retired-username\"") && line.contains("\"bob\"");
    assert_eq!(lines.iter().filter(is_retired).count(), 1);
}

#[tokio::test]
async fn damaged_settings_of_the_engine_are_named_and_salvage_goes_on_without_them() {
    let harness = Sled::new();
    let ann = account("ann", harness.random());
    harness.store().create_accounts(vec![ann]).await.unwrap();
    let folder = harness.close();
    let path = folder.path();
    let file = path.join("conf");
    let sound = fs::read(&file).unwrap();
    let mut refused = 0;
    for place in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[place] ^= 1;
        fs::write(&file, bytes).unwrap();
        match SledStore::open(path, Clock::system()) {
            Ok(store) => assert_eq!(count(&store).await, 1, "{place}"),
            Err(error) => {
                refused += 1;
                let told = error.to_string();
                let shown = file.display().to_string();
                assert!(told.contains(&format!("move {shown} away")), "{place}: {told}");
                assert!(!told.contains("/db"), "{place}: {told}");
            }
        }
        if place % 8 == 0 {
            let (lines, losses) = salvaged(path).await;
            assert!(
                lines.iter().any(|line| line.contains("ann@example.com")),
                "{place}"
            );
            assert_eq!(losses.faults, Vec::<String>::new(), "{place}");
        }
    }
    assert!(refused > 0);
    fs::remove_file(&file).unwrap();
    let store = SledStore::open(path, Clock::system()).unwrap();
    assert_eq!(count(&store).await, 1);
}
