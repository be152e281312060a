//! The embedded store's folder: what it accepts and refuses, with which message.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use vestibule::clock::Clock;
use vestibule::store::sled::SledStore;
use vestibule::store::{AccountStore as _, StoreError};

use super::conformance::Harness;
use super::samples::{account, noon};
use super::sled::Sled;

const MARKER: &str = "vestibule-store.json";

fn open(path: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(path, Clock::system())
}

/// Returns the message of the refusal, which must name the path.
fn refusal(path: &Path) -> String {
    match open(path) {
        Err(StoreError::Refused(text)) => {
            assert!(text.contains(path.to_str().unwrap()), "{text}");
            text
        }
        other => panic!("{other:?}"),
    }
}

/// Returns the folder and everything in it.
fn everything(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            found.extend(everything(&entry.unwrap().path()));
        }
    }
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_new_store_is_its_owners_alone() {
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path().join("data/store");
    let store = open(&path).unwrap();
    let ann = account("ann", &vestibule::random::Random::seeded(1));
    store.create_account(ann, None, noon()).await.unwrap();
    store.close();
    open(&path).unwrap().close();
    let everything = everything(&path);
    assert!(everything.len() > 5, "{everything:?}");
    for found in everything {
        let wanted = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&found), wanted, "{}", found.display());
    }
}

#[test]
fn an_empty_folder_is_taken_and_closed_to_others() {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    open(folder.path()).unwrap().close();
    assert_eq!(mode(folder.path()), 0o700);
}

#[test]
fn what_others_can_read_or_write_is_refused_with_the_command_that_helps() {
    let folder = Sled::new().close();
    let path = folder.path();
    for found in everything(path) {
        let before = mode(&found);
        for extra in [0o040, 0o020, 0o004, 0o002, 0o001] {
            set_mode(&found, before | extra);
            let text = refusal(path);
            assert!(text.contains(found.to_str().unwrap()), "{text}");
            assert!(
                text.ends_with(&format!("chmod -R go= {}", path.display())),
                "{text}"
            );
            set_mode(&found, before);
        }
    }
    open(path).unwrap();
}

#[test]
fn a_folder_with_other_files_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), "Dear Ann").unwrap();
    let text = refusal(folder.path());
    assert!(text.contains("name an empty or a new folder"), "{text}");
    assert_eq!(everything(folder.path()).len(), 2);
}

#[test]
fn another_programs_sled_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    ::sled::open(folder.path()).unwrap().insert("a", "b").unwrap();
    let text = refusal(folder.path());
    assert!(text.contains(MARKER), "{text}");
}

#[test]
fn a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    fs::write(&path, "").unwrap();
    assert!(refusal(&path).contains("is not a folder"));
}

#[test]
fn other_markers_are_refused() {
    let folder = Sled::new().close();
    let markers = [
        (r#"{"engine":"sled-0.34","schema":3}"#, "newer version"),
        (
            r#"{"engine":"sled-1","schema":1}"#,
            "run the version that made it",
        ),
        (
            r#"{"engine":"sled-0.34","schema":0}"#,
            "run the version that made it",
        ),
        ("", "restore it from a backup"),
        ("{", "restore it from a backup"),
    ];
    for (marker, advice) in markers {
        fs::write(folder.path().join(MARKER), marker).unwrap();
        let text = refusal(folder.path());
        assert!(text.contains(advice), "{marker}: {text}");
    }
}

/// A program that knows only the older schema refuses it from then on.
#[test]
fn a_store_of_the_older_schema_is_opened_and_marked_with_the_newer_one() {
    let folder = Sled::new().close();
    let marker = folder.path().join(MARKER);
    let current = fs::read_to_string(&marker).unwrap();
    fs::write(&marker, r#"{"engine":"sled-0.34","schema":1}"#).unwrap();
    // A kill may leave one behind.
    fs::write(folder.path().join("upgraded"), "{").unwrap();
    open(folder.path()).unwrap();
    assert_eq!(fs::read_to_string(&marker).unwrap(), current);
    assert!(current.contains("\"schema\":2"), "{current}");
    assert!(!folder.path().join("upgraded").exists());
    open(folder.path()).unwrap();
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_done() {
    let harness = Sled::new();
    let text = refusal(harness.path());
    assert!(text.contains("already open in another process"), "{text}");
    let folder = harness.close();
    open(folder.path()).unwrap();
}

#[test]
fn a_start_that_ended_early_is_begun_again() {
    let folder = Sled::new().close();
    // As if it had ended just before the marker got its name.
    fs::rename(folder.path().join(MARKER), folder.path().join("unfinished")).unwrap();
    open(folder.path()).unwrap().close();
    assert!(folder.path().join(MARKER).exists());
    assert!(!folder.path().join("unfinished").exists());

    // As if it had ended just after it locked the folder.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lock"), "").unwrap();
    set_mode(&folder.path().join("lock"), 0o600);
    open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_snapshot_that_a_crash_left_unfinished_does_no_harm() {
    let harness = Sled::new();
    let ann = account("ann", harness.random());
    let store = harness.store();
    store.create_account(ann.clone(), None, noon()).await.unwrap();
    drop(store);
    let random = harness.random().clone();
    let folder = harness.close();
    let unfinished = folder.path().join("snap.7FFFFFFFFFFFFFFF.generating");
    fs::write(&unfinished, "half a snap").unwrap();
    let harness = Sled::open(folder, noon(), random);
    assert_eq!(harness.store().account(ann.id).await.unwrap(), Some(ann));
    assert!(!unfinished.exists());
}

#[test]
fn a_lost_or_empty_database_is_not_taken_for_a_new_one() {
    for damage in [
        |db: &Path| fs::remove_file(db).unwrap(),
        |db: &Path| fs::write(db, "").unwrap(),
        |db: &Path| fs::write(db, vec![0x5a; 1 << 20]).unwrap(),
    ] {
        let folder = Sled::new().close();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().starts_with("snap.") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        damage(&folder.path().join("db"));
        let outcome = open(folder.path());
        assert!(matches!(outcome, Err(StoreError::Corrupt(_))), "{outcome:?}");
    }
}
