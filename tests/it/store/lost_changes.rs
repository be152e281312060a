//! The embedded store with a log that is damaged where the engine takes that for its end.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use vestibule::clock::Clock;
use vestibule::model::{Session, TokenDigest};
use vestibule::random::Random;
use vestibule::store::sled::SledStore;
use vestibule::store::{AccountStore as _, SessionStore as _, SessionsToEnd, Store, StoreError};

use super::conformance::Harness;
use super::salvage::salvaged;
use super::samples::{account, noon, session};
use super::sled::Sled;
use crate::harness::in_full;

const SEGMENT: usize = 512 << 10;
const ACCOUNTS: usize = 2000;
const ALARM: &str = "lost-changes.json";
const MARK: &str = "high-water-mark.json";
const BEGUN: &str = "high-water-mark.begun";

/// Names the folder to the process that is killed.
const FOLDER: &str = "VESTIBULE_MARK_FOLDER";
const OPENED: &str = "opened\n";

/// A folder with a store that was closed, and its log as it was when the engine wrote its snapshot.
struct Written {
    folder: TempDir,
    before: Vec<u8>,
}

impl Written {
    /// Several segments behind the snapshot, and a session that was ended at last.
    async fn new() -> Self {
        let harness = Sled::new();
        let random = harness.random().clone();
        let ann = account("ann", &random);
        let session = session(ann.id, 1, &random);
        let store = harness.store();
        store.create_accounts(vec![ann]).await.unwrap();
        store.put_session(session.clone(), None).await.unwrap();
        drop(store);
        let harness = harness.restart(noon());
        let before = fs::read(harness.path().join("db")).unwrap();
        let store = harness.store();
        for part in 0..ACCOUNTS / 50 {
            let accounts = (0..50).map(|n| account(&format!("person{part:02}{n:02}"), &random));
            store.create_accounts(accounts.collect()).await.unwrap();
        }
        let ended = store.end_sessions(SessionsToEnd::Token(session.digest)).await;
        assert_eq!(ended.unwrap(), 1);
        drop(store);
        let folder = harness.close();
        Self { folder, before }
    }

    fn db(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("db")).unwrap()
    }

    /// Where the file is another than it was, in the order of the file.
    fn written_since(&self) -> Vec<usize> {
        let after = self.db();
        let old = |place: usize| self.before.get(place).copied().unwrap_or_default();
        let changed = (0..after.len()).filter(|place| after[*place] != old(*place));
        changed.collect()
    }

    fn flip_a_bit(&self, place: usize) {
        let path = self.folder.path().join("db");
        let file = fs::File::options().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, place as u64).unwrap();
        byte[0] ^= 1;
        file.write_all_at(&byte, place as u64).unwrap();
    }
}

fn open(folder: &Path) -> SledStore {
    SledStore::open(folder, Clock::system()).unwrap()
}

fn lost(folder: &Path) -> Option<String> {
    let store = open(folder);
    let lost = store.lost_changes();
    store.close();
    lost
}

/// Asserts that all that was written is there.
async fn assert_whole(folder: &Path, what: &str) {
    let store = open(folder);
    let accounts = store.accounts(None, 2 * ACCOUNTS).await.unwrap();
    assert_eq!(accounts.len(), ACCOUNTS + 1, "{what}");
    assert_eq!(store.sessions().await.unwrap(), [], "{what}");
    store.close();
    assert_eq!(faults(folder).await, Vec::<String>::new(), "{what}");
}

async fn faults(folder: &Path) -> Vec<String> {
    let store = open(folder);
    let found = store.verify().await.unwrap();
    store.close();
    found.faults
}

#[tokio::test]
async fn a_flipped_bit_behind_the_snapshot_is_noticed_wherever_it_is() {
    let written = Written::new().await;
    let places = written.written_since();
    let of_a_header = |place: &&usize| **place % SEGMENT < 20 && **place > written.before.len();
    let chosen = [
        ("the last message", *places.last().unwrap()),
        ("one in the middle", places[places.len() / 2]),
        ("the first", places[0]),
        (
            "a segment's header",
            **places.iter().find(of_a_header).as_ref().unwrap(),
        ),
        (
            "the last segment's header",
            **places.iter().rfind(of_a_header).as_ref().unwrap(),
        ),
    ];
    let mut alarms = 0;
    for (what, place) in chosen {
        let copy = Written {
            folder: copied(written.folder.path()),
            before: Vec::new(),
        };
        copy.flip_a_bit(place);
        let path = copy.folder.path();
        let trial = copied(path);
        match SledStore::open(trial.path(), Clock::system()) {
            Ok(store) => store.close(),
            Err(error) => {
                assert!(matches!(error, StoreError::Corrupt(_)), "{what}: {error:?}");
                continue;
            }
        }
        let (_, losses) = salvaged(path).await;
        if losses.faults.is_empty() {
            // The engine used the segment again meanwhile, and this is what it has not overwritten yet.
            assert_whole(path, what).await;
            continue;
        }
        alarms += 1;
        assert!(
            losses.faults.iter().any(|fault| fault.contains("was damaged")),
            "{what}: {losses:?}"
        );
        assert!(!path.join(ALARM).exists(), "{what}: a salvage changes nothing");

        let told = lost(path).unwrap_or_else(|| panic!("{what}: nobody is told"));
        for part in ["after 2026-05-01T12:00:00Z", "store import BACKUP", ALARM] {
            assert!(told.contains(part), "{what}: {part}: {told}");
        }
        // Not only the start that noticed it says so.
        assert_eq!(lost(path).as_ref(), Some(&told), "{what}");
        assert!(faults(path).await.contains(&told), "{what}");
        let (_, losses) = salvaged(path).await;
        assert!(losses.faults.contains(&told), "{what}");

        fs::remove_file(path.join(ALARM)).unwrap();
        assert_eq!(lost(path), None, "{what}");
    }
    // Which of them the engine refuses by itself depends on where its pages came to lie. It never does so for all.
    assert!(alarms > 0);
}

#[tokio::test]
async fn what_is_as_it_was_written_raises_no_alarm() {
    let written = Written::new().await;
    let path = written.folder.path();
    // A copy of a closed store, one without the mark, and the store itself, opened and closed again and again.
    let (with, without) = (copied(path), copied(path));
    // As a version left it that wrote no mark.
    fs::remove_file(without.path().join(MARK)).unwrap();
    fs::remove_file(without.path().join(BEGUN)).unwrap();
    for path in [path, with.path(), without.path()] {
        for _ in 0..3 {
            assert_eq!(lost(path), None);
        }
        assert_eq!(faults(path).await, Vec::<String>::new());
        assert!(path.join(MARK).exists());
    }
}

#[tokio::test]
async fn a_mark_that_is_gone_or_cannot_be_read_is_an_alarm_until_the_operator_removes_it() {
    let written = Written::new().await;
    let path = written.folder.path();
    let far = r#"{"marks":[[18446744073709551615,"2026-05-01T12:00:00Z"]],"checksum":1}"#;
    let unreadable = ["", "[]", r#"{"marks":[],"checksum":0}"#, r#"{"marks":[[1"#, far];
    for text in unreadable.map(Some).into_iter().chain([None]) {
        let mark = path.join(MARK);
        match text {
            Some(text) => fs::write(&mark, text).unwrap(),
            None => fs::remove_file(&mark).unwrap(),
        }
        let told = lost(path).unwrap_or_else(|| panic!("{text:?}: nobody is told"));
        for part in [MARK, "gone or was damaged", "store import BACKUP", ALARM] {
            assert!(told.contains(part), "{text:?}: {part}: {told}");
        }
        assert_eq!(
            lost(path).as_ref(),
            Some(&told),
            "{text:?}: the next start says so too"
        );
        assert!(faults(path).await.contains(&told), "{text:?}");
        fs::remove_file(path.join(ALARM)).unwrap();
        assert_eq!(lost(path), None, "{text:?}");
    }
}

#[tokio::test]
async fn an_older_log_beside_a_newer_mark_is_noticed() {
    let written = Written::new().await;
    let path = written.folder.path();
    fs::write(path.join("db"), &written.before).unwrap();
    assert!(lost(path).is_some());
}

/// What the engine has in memory, and on its way, when the process ends is not what was promised.
#[tokio::test]
async fn the_mark_goes_as_far_as_the_log_after_a_clean_stop() {
    let written = Written::new().await;
    let path = written.folder.path();
    let end = newest_mark(path).unwrap();
    open(path).close();
    assert_eq!(newest_snapshot(path), end, "as the engine finds it");
}

#[tokio::test]
async fn no_kill_in_the_middle_of_the_work_raises_an_alarm() {
    let random = Random::system();
    let rounds = if in_full() { 150 } else { 12 };
    let (mut looked_at, mut reached) = (0, 0);
    let mut folder = tempfile::tempdir().unwrap();
    for round in 0..rounds {
        // A store grows with each round, and the time that it takes to verify it.
        if round % 12 == 0 {
            folder = tempfile::tempdir().unwrap();
        }
        let path = folder.path().join("store");
        let chance = u64::from(u16::from_be_bytes(random.bytes()));
        work_and_kill(&path, Duration::from_millis(chance % 2500));
        let mark = newest_mark(&path).unwrap_or(0);
        let snapshot = newest_snapshot(&path);
        looked_at += mark.saturating_sub(snapshot);
        reached = reached.max(mark);
        let store = open(&path);
        assert_eq!(
            store.lost_changes(),
            None,
            "round {round}, from {snapshot} to {mark}"
        );
        let found = store.verify().await.unwrap();
        assert_eq!(found.faults, Vec::<String>::new(), "round {round}");
        store.close();
        // At the end of a segment the engine's own end is before what fills it.
        let filled = if mark.is_multiple_of(SEGMENT as u64) {
            SEGMENT as u64
        } else {
            1
        };
        assert!(
            newest_snapshot(&path) + filled > mark,
            "round {round}: {mark} was promised"
        );
    }
    println!("{rounds} kills, {looked_at} bytes of log compared, {reached} in the longest");
    assert!(looked_at > rounds * (64 << 10), "{looked_at} bytes");
}

/// Lets a process work on the store for a while after it opened it.
fn work_and_kill(path: &Path, time: Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::lost_changes::the_process_that_is_killed"])
        .args(["--ignored", "--nocapture"])
        .env(FOLDER, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while line != OPENED {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended by itself");
    }
    std::thread::sleep(time);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it ended by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "what the test above runs and kills"]
async fn the_process_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let store = Arc::new(open(&folder));
    // The test runner has begun a line.
    print!("\n{OPENED}");
    std::io::stdout().flush().unwrap();
    let random = Random::system();
    let owner = account("owner", &random);
    store.create_account(owner.clone(), None, noon()).await.unwrap();
    let owner = store.account_by_email(&owner.email).await.unwrap().unwrap();
    let clients: Vec<_> = (0..8_u32)
        .map(|client| {
            let (store, owner, random) = (store.clone(), owner.id, Random::system());
            tokio::spawn(async move {
                let run = u32::from_be_bytes(random.bytes());
                for n in 0.. {
                    let session = Session {
                        digest: TokenDigest::of(&format!("{run}-{client}-{n}")),
                        ..session(owner, 0, &random)
                    };
                    let ended = SessionsToEnd::Token(session.digest);
                    store.put_session(session, None).await.unwrap();
                    if n % 50 == 0 {
                        let name = |k| format!("p{run}c{client}n{n}k{k}");
                        let accounts = (0..20).map(|k| account(&name(k), &random));
                        store.create_accounts(accounts.collect()).await.unwrap();
                    }
                    store.end_sessions(ended).await.unwrap();
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

/// How far the log was when the engine wrote its snapshot.
fn newest_snapshot(folder: &Path) -> u64 {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter_map(|name| u64::from_str_radix(name.to_str()?.strip_prefix("snap.")?, 16).ok())
        .max()
        .unwrap_or(0)
}

/// Where the log was at the newest mark.
fn newest_mark(folder: &Path) -> Option<u64> {
    let text = fs::read(folder.join(MARK)).ok()?;
    let mark: serde_json::Value = serde_json::from_slice(&text).unwrap();
    mark["marks"].as_array().unwrap().last().unwrap()[0].as_u64()
}

fn copied(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_all(folder, copy.path());
    copy
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copy = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&copy).unwrap();
            copy_all(&entry.path(), &copy);
        } else {
            fs::copy(entry.path(), copy).unwrap();
        }
    }
}
