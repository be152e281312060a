//! The embedded store on a full disk: nothing acknowledged is lost, reads go on, and writes resume when there
//! is room.
//!
//! The disk is a small tmpfs in a mount namespace of the test's own.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use vestibule::clock::Clock;
use vestibule::config::{Config, SecretSource};
use vestibule::model::{Account, AccountStatus, LockoutSubject};
use vestibule::random::Random;
use vestibule::secret::Secret;
use vestibule::services::{
    AccessKeyChange, AccessKeyError, AccountChange, AccountError, AccountSettingsError, Actor,
    InitialPassword, NewAccessKey, NewAccount, NewPassword, Origin, Services,
};
use vestibule::store::sled::SledStore;
use vestibule::store::{
    AccessKeyStore as _, AccountStore as _, AttemptOutcome, AttemptStore as _, Store, StoreError,
};

use super::samples::{POLICY, account, noon};
use crate::harness::{PASSWORD, in_full, soon};

pub(crate) const DISK: &str = "VESTIBULE_SMALL_DISK";

#[test]
fn a_full_disk_loses_nothing_and_does_no_lasting_harm() {
    run_on_a_small_disk("store::full_disk::on_the_small_disk");
}

#[test]
fn whoever_was_shut_out_on_a_full_disk_stays_it_until_the_store_agrees() {
    run_on_a_small_disk("store::full_disk::shutting_out_on_the_small_disk");
}

/// Runs another test by itself and on a disk of its own, which [`DISK`] names.
pub(crate) fn run_on_a_small_disk(test: &str) {
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
        .args(["--exact", test, "--ignored", "--nocapture"])
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
    assert!(path.join("reserved-space").exists());
    let ann = account("ann", &Random::seeded(1));
    store.create_account(ann.clone(), None, noon()).await.unwrap();

    let filler = fill(&disk);
    let mut counted = 0;
    let error = loop {
        match fail(&store, counted).await {
            Ok(AttemptOutcome::Counted(1)) => counted += 1,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
        assert!(counted < 100_000, "the disk is never full");
    };
    assert!(is_unavailable(&error), "{error:?}");
    assert_eq!(
        store.account(ann.id).await.unwrap(),
        Some(ann.clone()),
        "reads go on"
    );
    assert!(
        !path.join("reserved-space").exists(),
        "it made room for the engine to open"
    );
    fill(&disk);
    let error = fail(&store, u32::MAX).await.unwrap_err();
    assert!(is_unavailable(&error), "{error:?}");
    assert_eq!(store.verify().await.unwrap().faults, Vec::<String>::new());

    // With room, writes resume without a restart, and everything counted is still there.
    fs::remove_file(&filler).unwrap();
    for n in 0..counted {
        assert_eq!(fail(&store, n).await.unwrap(), AttemptOutcome::Counted(2), "{n}");
    }
    assert!(path.join("reserved-space").exists());

    // A start on a full disk.
    store.close();
    fill(&disk);
    let store = SledStore::open(&path, Clock::system()).unwrap();
    assert_eq!(store.account(ann.id).await.unwrap(), Some(ann.clone()));
    let error = loop {
        match fail(&store, 0).await {
            Ok(_) => store
                .clear_attempts(LockoutSubject::unknown("0"))
                .await
                .unwrap_or(()),
            Err(error) => break error,
        }
    };
    assert!(is_unavailable(&error), "{error:?}");
    fs::remove_file(&filler).unwrap();
    fail(&store, 1).await.unwrap();
    store.sweep(Timestamp::MAX, Timestamp::MAX).await.unwrap();
    assert_eq!(store.verify().await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "what the test above runs on its small disk"]
async fn shutting_out_on_the_small_disk() {
    let Some(disk) = std::env::var_os(DISK).map(PathBuf::from) else {
        return;
    };
    let store = Arc::new(SledStore::open(&disk.join("store"), Clock::system()).unwrap());
    let services = services(&disk, store.clone()).await;
    let (by, from) = (Actor::operator("test"), Origin::default());
    let mut accounts = Vec::new();
    for name in ["ann", "bob", "eve"] {
        let new = NewAccount {
            email: format!("{name}@example.com").parse().unwrap(),
            username: None,
            name: None,
            groups: BTreeSet::new(),
            password: InitialPassword::Set(NewPassword::Plain(Secret::new(PASSWORD.to_owned()))),
        };
        accounts.push(services.accounts.add(new, &by, &from).await.unwrap());
    }
    let [ann, bob, eve] = accounts.try_into().unwrap();
    let sign_in = async |who: &Account| {
        let password = Secret::new(PASSWORD.to_owned());
        services
            .sign_in
            .with_password(who.email.as_str(), &password, false, &from, None)
            .await
    };
    let (first, second) = (sign_in(&ann).await.unwrap(), sign_in(&bob).await.unwrap());
    let pair = [sign_in(&eve).await.unwrap(), sign_in(&eve).await.unwrap()];
    let keys = &services.access_keys;
    let mut made = Vec::new();
    for owner in [&bob, &eve, &eve] {
        let key = keys.create(owner, NewAccessKey::default(), &by, &from).await;
        made.push(key.unwrap().0.id);
    }

    let filler = fill(&disk);
    let mut n = 0;
    while fail(&store, n).await.is_ok() {
        n += 1;
        assert!(n < 100_000, "the disk is never full");
    }
    fill(&disk);
    let accounts = &services.accounts;
    let refused = accounts.change("ann", AccountChange::Disable, &by, &from).await;
    assert!(matches!(refused, Err(AccountError::Store(_))), "{refused:?}");
    let refused = accounts.delete("bob", &by, &from).await;
    assert!(matches!(refused, Err(AccountError::Store(_))), "{refused:?}");
    for (id, change) in [
        (made[1], AccessKeyChange::Disable),
        (made[2], AccessKeyChange::Revoke),
    ] {
        let refused = keys.change(id, Some(eve.id), change, &by, &from).await;
        assert!(matches!(refused, Err(AccessKeyError::Store(_))), "{refused:?}");
    }
    let own = &services.account_settings;
    let refused = own.end_other_sessions(&pair[0].session, &from).await;
    assert!(
        matches!(refused, Err(AccountSettingsError::Store(_))),
        "{refused:?}"
    );
    assert!(services.sessions.find(&pair[0].token.digest()).is_some());
    for ended in [&first, &second, &pair[1]] {
        assert!(services.sessions.find(&ended.token.digest()).is_none());
        assert!(ended.session.ended().is_cancelled());
    }
    assert!(made.iter().all(|id| keys.find(id).is_none()));
    let stored = store.account(ann.id).await.unwrap().unwrap();
    assert_eq!(stored.status, AccountStatus::Active, "the store does not know");
    assert!(
        services.sessions.settle(&first.token.digest()).await.is_err(),
        "nor of this"
    );

    // With room, before any other attempt: memory alone revokes their access.
    fs::remove_file(&filler).unwrap();
    for shut_out in [&ann, &bob] {
        assert!(sign_in(shut_out).await.is_err());
    }
    let enabled = keys
        .change(made[2], None, AccessKeyChange::Enable, &by, &from)
        .await;
    assert!(matches!(enabled, Err(AccessKeyError::NotFound(_))), "{enabled:?}");
    let stop = CancellationToken::new();
    let kept = async {
        tokio::join!(
            services.revocations.run_maintenance(stop.clone()),
            keys.run_maintenance(stop.clone())
        )
    };
    let agreed = async {
        loop {
            let ann = store.account(ann.id).await.unwrap().unwrap();
            let bob = store.account(bob.id).await.unwrap();
            let keys = store.access_keys(Some(eve.id)).await.unwrap();
            if ann.status == AccountStatus::Disabled && bob.is_none() && keys.len() == 1 && keys[0].disabled {
                break;
            }
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    soon(Box::pin(async { tokio::join!(kept, agreed) })).await;
    assert_eq!(store.verify().await.unwrap().faults, Vec::<String>::new());
}

/// Creates all services over a store on the small disk.
async fn services(disk: &Path, store: Arc<SledStore>) -> Services {
    let mut config = Config::default();
    config.password.bcrypt_cost = 10;
    config.audit.file = disk.join("audit.jsonl");
    config.store.master_key = SecretSource::File {
        file: disk.join("master.key"),
    };
    let outbox = format!("file:{}", disk.join("outbox").display());
    config.mail.url = SecretSource::Text(Secret::new(outbox));
    let (clock, random) = (Clock::system(), Random::system());
    let services = Services::new(&config, store, clock, random, Arc::default());
    services.await.unwrap()
}

/// Nothing is acknowledged; a write that failed halfway may have reached the log.
fn is_unavailable(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_))
}

async fn fail(store: &SledStore, n: u32) -> Result<AttemptOutcome, StoreError> {
    store
        .record_attempt(LockoutSubject::unknown(&n.to_string()), POLICY)
        .await
}

/// Fills the disk completely.
pub(crate) fn fill(disk: &Path) -> PathBuf {
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
