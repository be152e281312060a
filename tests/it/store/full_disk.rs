//! The embedded store on a disk that is full: nothing acknowledged is lost, reads go on, writes come back with room.
//!
//! The disk is a small one in memory, in a mount namespace of the test's own.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use vestibule::clock::Clock;
use vestibule::model::Subject;
use vestibule::random::Random;
use vestibule::store::sled::SledStore;
use vestibule::store::{Attempt, Store, StoreError};

use super::samples::{POLICY, account, noon};
use crate::harness::in_full;

const DISK: &str = "VESTIBULE_SMALL_DISK";

#[test]
fn a_full_disk_loses_nothing_and_does_no_lasting_harm() {
    let own_mounts = ["--user", "--map-root-user", "--mount"];
    let probe = Command::new("unshare").args(own_mounts).arg("true").output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        assert!(
            !in_full(),
            "this machine does not let a test mount a disk of its own"
        );
        eprintln!("not tested: this machine does not let a test mount a disk of its own");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let outcome = Command::new("unshare")
        .args(own_mounts)
        .args(["sh", "-c"])
        .arg(format!(
            "mount -t tmpfs -o size=40m,mode=0700 tmpfs \"${DISK}\" && exec \"$0\" \"$@\""
        ))
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::full_disk::on_the_small_disk",
            "--ignored",
            "--nocapture",
        ])
        .env(DISK, folder.path())
        .output()
        .unwrap();
    assert!(
        outcome.status.success(),
        "{}{}",
        String::from_utf8_lossy(&outcome.stdout),
        String::from_utf8_lossy(&outcome.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "what the test above runs on its small disk"]
async fn on_the_small_disk() {
    let Some(disk) = std::env::var_os(DISK).map(PathBuf::from) else {
        return;
    };
    let path = disk.join("store");
    let store = SledStore::open(&path, Clock::system()).unwrap();
    assert!(path.join("ballast").exists());
    let ann = account("ann", &Random::seeded(1));
    store.create_account(ann.clone(), None, noon()).await.unwrap();

    let filler = fill(&disk);
    let mut counted = 0;
    let error = loop {
        match fail(&store, counted).await {
            Ok(Attempt::Counted(1)) => counted += 1,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
        assert!(counted < 100_000, "the disk is never full");
    };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert_eq!(
        store.account(ann.id).await.unwrap(),
        Some(ann.clone()),
        "reads go on"
    );
    assert!(
        !path.join("ballast").exists(),
        "it made room for the engine to open"
    );
    fill(&disk);
    let error = fail(&store, u32::MAX).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert_eq!(store.verify().await.unwrap().faults, Vec::<String>::new());

    // With room, writes go on without a restart; and all that was counted still is.
    fs::remove_file(&filler).unwrap();
    for n in 0..counted {
        assert_eq!(fail(&store, n).await.unwrap(), Attempt::Counted(2), "{n}");
    }
    assert!(path.join("ballast").exists());

    // A start on a full disk.
    store.close();
    fill(&disk);
    let store = SledStore::open(&path, Clock::system()).unwrap();
    assert_eq!(store.account(ann.id).await.unwrap(), Some(ann.clone()));
    let error = loop {
        match fail(&store, 0).await {
            Ok(_) => store.clear_attempts(Subject::unknown("0")).await.unwrap_or(()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    fs::remove_file(&filler).unwrap();
    fail(&store, 1).await.unwrap();
    store.sweep(Timestamp::MAX, Timestamp::MAX).await.unwrap();
    assert_eq!(store.verify().await.unwrap().faults, Vec::<String>::new());
}

async fn fail(store: &SledStore, n: u32) -> Result<Attempt, StoreError> {
    store
        .record_attempt(Subject::unknown(&n.to_string()), POLICY)
        .await
}

/// Leaves not a page free.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("filler");
    let mut file = File::options().create(true).append(true).open(&path).unwrap();
    loop {
        match file.write_all(&[1; 4096]) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return path,
            Err(error) => panic!("{error}"),
        }
    }
}
