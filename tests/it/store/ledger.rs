//! A client's ledger of what it asked for and what was acknowledged, to compare with the store after a crash.
//!
//! A deed is entered as asked before it is done, and as promised once it was acknowledged. What was promised
//! must be there; what was only asked for may be, completely or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use vestibule::model::{Email, LockoutPolicy, LockoutSubject, TokenDigest, Username};
use vestibule::store::{AttemptOutcome, Store};

/// Something that a client can ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Deed {
    /// Creating an invitation; `token` in the clear.
    Invite { token: String },
    /// Creating an account with an invitation.
    SignUp {
        email: String,
        username: String,
        invitation: String,
    },
    /// Starting a session; `token` in the clear.
    SignIn { token: String },
    /// Ending it.
    SignOut { token: String },
    /// One failed attempt at an unknown name.
    Fail { name: String },
}

/// One entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum LedgerEntry {
    Asked(Deed),
    Promised(Deed),
}

impl LedgerEntry {
    /// Prefix of a ledger line, among other output.
    const MARK: &str = "ledger ";

    /// Formats the entry as a line with its newline.
    pub(crate) fn line(&self) -> String {
        format!("{}{}\n", Self::MARK, serde_json::to_string(self).unwrap())
    }

    /// Parses the entry of a line, if it has one.
    pub(crate) fn of(line: &str) -> Option<Self> {
        let json = line.strip_prefix(Self::MARK)?.strip_suffix('\n')?;
        Some(serde_json::from_str(json).unwrap())
    }
}

/// All entries.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    asked: BTreeSet<Deed>,
    promised: BTreeSet<Deed>,
    /// Failures of each name: asked for, and promised.
    failures: BTreeMap<String, (u32, u32)>,
}

impl Ledger {
    /// Adds an entry.
    pub(crate) fn enter(&mut self, entry: LedgerEntry) {
        match entry {
            LedgerEntry::Asked(Deed::Fail { name }) => self.failures.entry(name).or_default().0 += 1,
            LedgerEntry::Promised(Deed::Fail { name }) => self.failures.entry(name).or_default().1 += 1,
            LedgerEntry::Asked(deed) => {
                self.asked.insert(deed);
            }
            LedgerEntry::Promised(deed) => {
                self.promised.insert(deed);
            }
        }
    }

    /// Returns the number of promises.
    pub(crate) fn promises(&self) -> usize {
        let failures: u32 = self.failures.values().map(|(_, promised)| promised).sum();
        self.promised.len() + usize::try_from(failures).unwrap()
    }

    /// Returns every promise that the store does not keep, one per line. Counts one more failure for each
    /// name that failed.
    pub(crate) async fn broken_promises(&mut self, store: &dyn Store, policy: LockoutPolicy) -> String {
        let mut broken = String::new();
        let mut times_used: BTreeMap<&str, usize> = BTreeMap::new();
        let sessions = store.sessions().await.unwrap();
        let sessions: BTreeSet<_> = sessions.iter().map(|session| session.digest).collect();
        let has_session = |token: &str| sessions.contains(&TokenDigest::of(token));
        for deed in &self.asked {
            let promised = self.promised.contains(deed);
            let kept = match deed {
                Deed::Invite { .. } => true,
                Deed::SignUp {
                    email,
                    username,
                    invitation,
                } => {
                    let made = has_account(store, email, username).await;
                    *times_used.entry(invitation).or_default() += usize::from(made);
                    made || !promised
                }
                Deed::SignIn { token } => {
                    let sign_out = Deed::SignOut { token: token.clone() };
                    !promised || self.asked.contains(&sign_out) || has_session(token)
                }
                Deed::SignOut { token } => !promised || !has_session(token),
                Deed::Fail { .. } => unreachable!("failures are counted, not listed"),
            };
            if !kept {
                writeln!(broken, "not kept: {deed:?}").unwrap();
            }
        }
        for (token, times) in times_used.iter().filter(|(_, times)| **times > 1) {
            writeln!(broken, "{token}: used {times} times").unwrap();
        }
        for deed in &self.promised {
            if let Deed::Invite { token } = deed {
                let there = store.invitation(TokenDigest::of(token)).await.unwrap().is_some();
                let signups = times_used.get(token.as_str()).copied().unwrap_or(0);
                if usize::from(there) + signups != 1 {
                    writeln!(broken, "{token}: there is {there}, used {signups} times").unwrap();
                }
            }
        }
        for (name, (asked, promised)) in &mut self.failures {
            *asked += 1;
            match store
                .record_attempt(LockoutSubject::unknown(name), policy)
                .await
                .unwrap()
            {
                AttemptOutcome::Locked(_) => {}
                AttemptOutcome::Counted(n) => {
                    if !(*promised + 1..=*asked).contains(&n) {
                        writeln!(broken, "{name}: {n} failures, {promised} promised, {asked} asked").unwrap();
                    }
                    *promised = n;
                    *asked = n;
                }
            }
        }
        broken
    }
}

async fn has_account(store: &dyn Store, email: &str, username: &str) -> bool {
    let (email, username): (Email, Username) = (email.parse().unwrap(), username.parse().unwrap());
    let account = store.account_by_email(&email).await.unwrap();
    account.is_some_and(|account| account.username == username)
}
