//! A store in memory, for the tests of services alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::clock::Clock;
use crate::ids::{AccountId, InvitationId};
use crate::model::{
    Account, Email, Invitation, LockoutPolicy, Session, Standing, Subject, TokenDigest, Username,
};
use crate::store::{
    Attempt, CreateAccount, DeleteAccount, SessionsToEnd, Store, StoreError, UpdateAccount, Verification,
};

pub(super) struct MemoryStore {
    clock: Clock,
    kept: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    accounts: BTreeMap<AccountId, Account>,
    usernames: HashSet<Username>,
    attempts: HashMap<Subject, Failures>,
    sessions: HashMap<TokenDigest, Session>,
    invitations: BTreeMap<InvitationId, Invitation>,
}

#[derive(Default)]
struct Failures {
    count: u32,
    /// On the monotonic clock.
    locked_until: Option<Duration>,
}

impl MemoryStore {
    pub(super) fn shared(clock: Clock) -> Arc<dyn Store> {
        Arc::new(Self {
            clock,
            kept: Mutex::default(),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Content> {
        self.kept.lock().unwrap()
    }
}

impl Content {
    fn invitation(&self, digest: TokenDigest) -> Option<&Invitation> {
        self.invitations
            .values()
            .find(|invitation| invitation.digest == digest)
    }

    fn email_is_taken(&self, email: &Email, by_other_than: AccountId) -> bool {
        self.accounts
            .values()
            .any(|account| account.email == *email && account.id != by_other_than)
    }

    /// Whether the group would lose its last active member if this account were replaced.
    fn loses_last(&self, id: AccountId, replacement: Option<&Account>, group: &str) -> bool {
        let guards = |account: &Account| account.is_in(group) && account.standing == Standing::Active;
        self.accounts.get(&id).is_some_and(guards)
            && !replacement.is_some_and(guards)
            && self.accounts.values().filter(|account| guards(account)).count() == 1
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn create_account(
        &self,
        account: Account,
        invitation: Option<TokenDigest>,
        now: Timestamp,
    ) -> Result<CreateAccount, StoreError> {
        let mut kept = self.kept();
        let mut used = None;
        if let Some(digest) = invitation {
            match kept.invitation(digest) {
                Some(found)
                    if found.expires_at > now
                        && found.email.as_ref().is_none_or(|email| *email == account.email) =>
                {
                    used = Some(found.id);
                }
                _ => return Ok(CreateAccount::InvitationVoid),
            }
        }
        if kept.email_is_taken(&account.email, account.id) {
            return Ok(CreateAccount::EmailTaken);
        }
        if !kept.usernames.insert(account.username.clone()) {
            return Ok(CreateAccount::UsernameTaken);
        }
        if let Some(id) = used {
            kept.invitations.remove(&id);
        }
        kept.accounts.insert(account.id, account);
        Ok(CreateAccount::Created)
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        Ok(self.kept().accounts.get(&id).cloned())
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        Ok(self
            .kept()
            .accounts
            .values()
            .find(|account| account.email == *email)
            .cloned())
    }

    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>, StoreError> {
        Ok(self
            .kept()
            .accounts
            .values()
            .find(|account| account.username == *username)
            .cloned())
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, StoreError> {
        let kept = self.kept();
        let rest = kept
            .accounts
            .values()
            .filter(|account| after.is_none_or(|after| account.id > after));
        Ok(rest.take(limit).cloned().collect())
    }

    async fn group_has_members(&self, group: &str) -> Result<bool, StoreError> {
        Ok(self.kept().accounts.values().any(|account| account.is_in(group)))
    }

    async fn update_account(
        &self,
        expected: &Account,
        changed: Account,
        guarded: &str,
    ) -> Result<UpdateAccount, StoreError> {
        let mut kept = self.kept();
        if kept.accounts.get(&expected.id) != Some(expected) {
            return Ok(UpdateAccount::Changed);
        }
        if kept.email_is_taken(&changed.email, changed.id) {
            return Ok(UpdateAccount::EmailTaken);
        }
        if kept.loses_last(changed.id, Some(&changed), guarded) {
            return Ok(UpdateAccount::LastMember);
        }
        kept.accounts.insert(changed.id, changed);
        Ok(UpdateAccount::Updated)
    }

    async fn delete_account(&self, id: AccountId, guarded: &str) -> Result<DeleteAccount, StoreError> {
        let mut kept = self.kept();
        if kept.loses_last(id, None, guarded) {
            return Ok(DeleteAccount::LastMember);
        }
        kept.sessions.retain(|_, session| session.account != id);
        kept.attempts.remove(&Subject::Account(id));
        Ok(match kept.accounts.remove(&id) {
            Some(_) => DeleteAccount::Deleted,
            None => DeleteAccount::Absent,
        })
    }

    async fn record_attempt(&self, subject: Subject, policy: LockoutPolicy) -> Result<Attempt, StoreError> {
        let now = self.clock.monotonic();
        let mut kept = self.kept();
        let failures = kept.attempts.entry(subject).or_default();
        match failures.locked_until {
            Some(until) if until > now => return Ok(Attempt::Locked(until.saturating_sub(now))),
            Some(_) => *failures = Failures::default(),
            None => {}
        }
        failures.count += 1;
        if failures.count > policy.max_failures {
            failures.locked_until = Some(now + policy.duration);
        }
        Ok(Attempt::Counted(failures.count))
    }

    async fn clear_attempts(&self, subject: Subject) -> Result<(), StoreError> {
        self.kept().attempts.remove(&subject);
        Ok(())
    }

    async fn withdraw_attempt(&self, subject: Subject, policy: LockoutPolicy) -> Result<(), StoreError> {
        if let Some(failures) = self.kept().attempts.get_mut(&subject) {
            failures.count = failures.count.saturating_sub(1);
            if failures.count <= policy.max_failures {
                failures.locked_until = None;
            }
        }
        Ok(())
    }

    async fn locked_for(&self, subject: Subject, _: LockoutPolicy) -> Result<Option<Duration>, StoreError> {
        let now = self.clock.monotonic();
        let until = self
            .kept()
            .attempts
            .get(&subject)
            .and_then(|failures| failures.locked_until);
        Ok(until
            .and_then(|until| until.checked_sub(now))
            .filter(|wait| !wait.is_zero()))
    }

    async fn put_session(&self, session: Session, replaces: Option<TokenDigest>) -> Result<(), StoreError> {
        let mut kept = self.kept();
        if let Some(replaced) = replaces {
            kept.sessions.remove(&replaced);
        }
        kept.sessions.insert(session.digest, session);
        Ok(())
    }

    async fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        Ok(self.kept().sessions.values().cloned().collect())
    }

    async fn touch_sessions(&self, seen: Vec<(TokenDigest, Timestamp)>) -> Result<(), StoreError> {
        let mut kept = self.kept();
        for (digest, at) in seen {
            if let Some(session) = kept.sessions.get_mut(&digest) {
                session.last_seen_at = at;
            }
        }
        Ok(())
    }

    async fn end_sessions(&self, which: SessionsToEnd) -> Result<usize, StoreError> {
        let mut kept = self.kept();
        let before = kept.sessions.len();
        kept.sessions.retain(|digest, session| match which {
            SessionsToEnd::Token(token) => *digest != token,
            SessionsToEnd::Id(id) => session.id != id,
            SessionsToEnd::Account(account, except) => session.account != account || except == Some(*digest),
            SessionsToEnd::All => false,
        });
        Ok(before - kept.sessions.len())
    }

    async fn create_invitation(&self, invitation: Invitation) -> Result<(), StoreError> {
        self.kept().invitations.insert(invitation.id, invitation);
        Ok(())
    }

    async fn invitation(&self, digest: TokenDigest) -> Result<Option<Invitation>, StoreError> {
        Ok(self.kept().invitation(digest).cloned())
    }

    async fn invitations(&self) -> Result<Vec<Invitation>, StoreError> {
        Ok(self.kept().invitations.values().cloned().collect())
    }

    async fn revoke_invitation(&self, id: InvitationId) -> Result<bool, StoreError> {
        Ok(self.kept().invitations.remove(&id).is_some())
    }

    async fn sweep(&self, now: Timestamp, sessions_before: Timestamp) -> Result<(), StoreError> {
        let mut kept = self.kept();
        kept.invitations
            .retain(|_, invitation| invitation.expires_at > now);
        kept.sessions
            .retain(|_, session| session.created_at >= sessions_before);
        Ok(())
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        Ok(Verification::default())
    }
}
