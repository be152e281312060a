//! The embedded store in a process that is killed in the middle of its work.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use vestibule::clock::Clock;
use vestibule::model::{Account, Invitation, LockoutPolicy, LockoutSubject, Session, TokenDigest};
use vestibule::random::Random;
use vestibule::store::sled::SledStore;
use vestibule::store::{AttemptOutcome, CreateAccount, SessionsToEnd, Store};

use super::ledger::{Deed, Ledger, LedgerEntry};
use super::samples::{account, invitation, noon, session};
use crate::harness::in_full;

const FOLDER: &str = "VESTIBULE_CRASH_FOLDER";
const OPENING: &str = "opening\n";
const ROUND: &str = "VESTIBULE_CRASH_ROUND";

/// No lockouts: every failure is counted.
const PATIENT: LockoutPolicy = LockoutPolicy {
    max_failures: u32::MAX,
    duration: Duration::from_mins(20),
};

/// How often a store is killed before a new one takes its place.
const ROUNDS: usize = 20;

/// When a process is killed.
enum Moment {
    /// This long after it began to open the store.
    Opening(Duration),
    /// After this many lines in its ledger.
    Working(usize),
}

#[tokio::test]
async fn what_was_acknowledged_outlives_the_process() {
    for _ in 0..if in_full() { 10 } else { 1 } {
        kill_again_and_again().await;
    }
}

async fn kill_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let (clock, random) = (Clock::system(), Random::system());
    let mut ledger = Ledger::default();
    for round in 0..ROUNDS {
        let chance = u16::from_be_bytes(random.bytes());
        let moment = if round % 4 == 0 {
            Moment::Opening(Duration::from_micros(u64::from(chance) / 2))
        } else {
            Moment::Working(usize::from(chance) % 2000)
        };
        let died = run_and_kill(&path, round, &moment, &mut ledger);
        assert!(died.code().is_none(), "round {round} ended by itself: {died}");

        let began = clock.monotonic();
        let store = SledStore::open(&path, clock.clone()).unwrap();
        let took = clock.monotonic().saturating_sub(began);
        assert!(took < Duration::from_secs(5), "round {round}: {took:?} to open");

        let broken = ledger.broken_promises(&store, PATIENT).await;
        assert_eq!(broken, "", "round {round}");
        assert_eq!(store.lost_changes(), None, "round {round}");
        let faults = store.verify().await.unwrap().faults;
        assert_eq!(faults, Vec::<String>::new(), "round {round}");
        store.close();
    }
    assert!(ledger.promises() > 50 * ROUNDS, "{} promises", ledger.promises());
}

/// Runs a process on the store and kills it at that moment; enters all that it wrote.
fn run_and_kill(path: &Path, round: usize, moment: &Moment, ledger: &mut Ledger) -> ExitStatus {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::crash::the_process_that_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, path)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    let mut output = BufReader::new(child.0.stdout.take().unwrap());
    let (mut line, mut entries) = (String::new(), 0);
    while output.read_line(&mut line).unwrap() > 0 {
        // A line that the kill cut off has no newline and is no entry.
        if let Some(entry) = LedgerEntry::of(&line) {
            ledger.enter(entry);
            entries += 1;
        }
        match moment {
            Moment::Opening(after) if line == OPENING => {
                std::thread::sleep(*after);
                child.0.kill().unwrap();
            }
            Moment::Working(lines) if entries == *lines => child.0.kill().unwrap(),
            _ => {}
        }
        line.clear();
    }
    child.0.wait().unwrap()
}

/// A process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "what the test above runs and kills"]
async fn the_process_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    // The test runner has begun a line.
    print!("\n{OPENING}");
    std::io::stdout().flush().unwrap();
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&folder, Clock::system()).unwrap());
    let owner = owner(&*store).await;
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let client = CrashClient {
                name: format!("r{round}c{n}"),
                store: store.clone(),
                owner: owner.clone(),
                random: Random::system(),
            };
            tokio::spawn(client.work())
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

/// Returns the account whose sessions start and end, created in the first round.
async fn owner(store: &dyn Store) -> Account {
    let owner = account("owner", &Random::system());
    store.create_account(owner.clone(), None, noon()).await.unwrap();
    store.account_by_email(&owner.email).await.unwrap().unwrap()
}

/// One of several concurrent clients.
struct CrashClient {
    name: String,
    store: Arc<dyn Store>,
    owner: Account,
    random: Random,
}

impl CrashClient {
    async fn work(self) {
        for n in 0.. {
            let token = format!("{}n{n}", self.name);
            self.invite(&token).await;
            // Two sign-ups race for the same invitation.
            let (first, second) = (format!("{token}a"), format!("{token}b"));
            let made = tokio::join!(self.sign_up(&first, &token), self.sign_up(&second, &token));
            assert!(made.0 != made.1, "one of both gets an account");
            self.sign_in(&token).await;
            if n % 2 == 0 {
                self.sign_out(&token).await;
            }
            self.fail().await;
        }
    }

    async fn invite(&self, token: &str) {
        let deed = Deed::Invite {
            token: token.to_owned(),
        };
        ask(&deed);
        let invitation = Invitation {
            digest: TokenDigest::of(token),
            ..invitation(0, &self.random)
        };
        self.store.create_invitation(invitation).await.unwrap();
        promise(deed);
    }

    async fn sign_up(&self, name: &str, invitation: &str) -> bool {
        let account = account(name, &self.random);
        let deed = Deed::SignUp {
            email: account.email.to_string(),
            username: name.to_owned(),
            invitation: invitation.to_owned(),
        };
        ask(&deed);
        let invitation = Some(TokenDigest::of(invitation));
        let outcome = self
            .store
            .create_account(account, invitation, noon())
            .await
            .unwrap();
        if outcome == CreateAccount::Created {
            promise(deed);
        }
        outcome == CreateAccount::Created
    }

    async fn sign_in(&self, token: &str) {
        let deed = Deed::SignIn {
            token: token.to_owned(),
        };
        ask(&deed);
        let session = Session {
            digest: TokenDigest::of(token),
            ..session(self.owner.id, 0, &self.random)
        };
        self.store.put_session(session, None).await.unwrap();
        promise(deed);
    }

    async fn sign_out(&self, token: &str) {
        let deed = Deed::SignOut {
            token: token.to_owned(),
        };
        ask(&deed);
        let which = SessionsToEnd::Token(TokenDigest::of(token));
        assert_eq!(self.store.end_sessions(which).await.unwrap(), 1);
        promise(deed);
    }

    async fn fail(&self) {
        let deed = Deed::Fail {
            name: "nobody".to_owned(),
        };
        ask(&deed);
        let outcome = self
            .store
            .record_attempt(LockoutSubject::unknown("nobody"), PATIENT)
            .await
            .unwrap();
        assert!(matches!(outcome, AttemptOutcome::Counted(_)));
        promise(deed);
    }
}

fn ask(deed: &Deed) {
    write(&LedgerEntry::Asked(deed.clone()));
}

fn promise(deed: Deed) {
    write(&LedgerEntry::Promised(deed));
}

/// Writes each entry at once, so that a kill cuts off at most the last line.
fn write(entry: &LedgerEntry) {
    let mut out = std::io::stdout().lock();
    out.write_all(entry.line().as_bytes()).unwrap();
    out.flush().unwrap();
}
