//! Sessions: held in memory for requests, persisted in the store.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::account_name::{AccountName, TypedName};
use super::active_session::ActiveSession;
use super::deferred_revocations::{ABANDONED, HELD, PATIENCE, or_hold};
use super::dual_time::DualTime;
use super::pending_revocations::PendingRevocations;
use super::refresh_locks::RefreshLocks;
use super::session_expiry::SessionLimits;
use super::settled_time::SettledTime;
use super::unsettled_accounts::UnsettledAccounts;
use super::unsettled_change::OnAbandoned;
use super::{ActiveKey, Actor};
use crate::clock::{self, Clock};
use crate::config::{Config, SessionConfig};
use crate::ids::{AccountId, SessionId};
use crate::metrics::Metrics;
use crate::model::{AccessKey, Account, AccountStatus, PlainToken, Session, SignInMethod, TokenDigest};
use crate::random::Random;
use crate::store::{PutSession, SessionsToEnd, Store, StoreError, UnreadableRow};

mod maintenance;
mod pages;

pub use pages::{SessionCursor, SessionInfo, SessionPage};

/// The credential of a sign-in.
#[derive(Clone, Copy, Debug)]
pub(super) enum SignInCredential<'a> {
    Password,
    AccessKey(&'a ActiveKey),
}

/// The owner of a session that is loaded at the start.
enum Owner {
    Active(Box<Account>),
    ShutOut,
    Unreadable,
}

/// All sessions.
///
/// Memory is authoritative while the gateway runs. An ended session in the map is refused; the next sweep
/// removes it from the map and the store.
#[derive(Debug)]
pub struct Sessions {
    store: Arc<dyn Store>,
    limits: SessionLimits,
    clock: Clock,
    random: Random,
    live: papaya::HashMap<TokenDigest, Arc<ActiveSession>>,
    by_account: Mutex<HashMap<AccountId, HashSet<TokenDigest>>>,
    refreshing: RefreshLocks,
    /// Accounts whose sessions may allow less than the store says.
    unsettled: UnsettledAccounts,
    metrics: Arc<Metrics>,
    /// Account revocations that the store does not have yet.
    revocations: Arc<PendingRevocations>,
    /// The time by which expired rows are removed from the store.
    settled: Arc<SettledTime>,
    /// `signup.verify_email`
    verified_only: AtomicBool,
}

impl Sessions {
    /// Loads the sessions from the store. Ends those that are expired, whose account may not sign in, that
    /// predate the account's password, and whose access key is gone, disabled or expired.
    pub(super) async fn load(
        store: Arc<dyn Store>,
        config: &SessionConfig,
        clock: Clock,
        random: Random,
        metrics: Arc<Metrics>,
        revocations: Arc<PendingRevocations>,
        settled: Arc<SettledTime>,
    ) -> Result<Self, StoreError> {
        let sessions = Self {
            store,
            limits: SessionLimits::new(config),
            settled,
            clock,
            random,
            live: papaya::HashMap::new(),
            by_account: Mutex::default(),
            refreshing: RefreshLocks::default(),
            unsettled: UnsettledAccounts::default(),
            metrics,
            revocations,
            verified_only: AtomicBool::new(false),
        };
        let loaded = sessions.store.load_sessions().await?;
        for UnreadableRow { account, error } in &loaded.unreadable {
            let account = account.as_ref().map(tracing::field::display);
            tracing::error!(%error, account, "a session cannot be read: it serves nobody");
        }
        let keys = sessions.keys_of(&loaded.sound).await?;
        let mut accounts: HashMap<AccountId, Owner> = HashMap::new();
        for session in loaded.sound {
            let owner = match accounts.entry(session.account) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(sessions.owner(session.account).await?),
            };
            let account = match owner {
                Owner::Active(account) => Some(account),
                Owner::ShutOut => None,
                // The account's state is unknown: its sessions are refused, and stay in the store.
                Owner::Unreadable => continue,
            };
            let (digest, now) = (session.digest, sessions.moment());
            let live = account
                .filter(|account| knows_password(&session, account))
                .and_then(|account| {
                    let limits = limits_with_key(sessions.limits, &session, &keys, now)?;
                    let session = believed(session, now)?;
                    Some(ActiveSession::new(session, account, limits, now))
                })
                .filter(|live| !live.is_over(now));
            let Some(live) = live else {
                // If it stays, the next start finds it again.
                if let Err(error) = sessions.store.end_sessions(SessionsToEnd::Token(digest)).await {
                    tracing::warn!(%error, "a session that is over could not be removed");
                }
                continue;
            };
            sessions.insert(&Arc::new(live));
        }
        Ok(sessions)
    }

    /// Returns the enabled access keys, if one of these sessions was started with a key.
    async fn keys_of(&self, sessions: &[Session]) -> Result<Vec<AccessKey>, StoreError> {
        if !sessions.iter().any(Session::is_of_key) {
            return Ok(Vec::new());
        }
        let mut keys = self.store.load_access_keys().await?.sound;
        let now = self.clock.now();
        keys.retain(|key| !key.disabled && !key.is_ahead(now));
        Ok(keys)
    }

    async fn owner(&self, id: AccountId) -> Result<Owner, StoreError> {
        match self.store.account(id).await {
            Ok(Some(account)) if account.status == AccountStatus::Active => {
                Ok(Owner::Active(Box::new(account)))
            }
            Ok(_) => Ok(Owner::ShutOut),
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::error!(%error, account = %id, "an account cannot be read: it is shut out");
                Ok(Owner::Unreadable)
            }
            Err(error) => Err(error),
        }
    }

    /// Applies a reloaded configuration. If addresses must be verified, ends the sessions of unverified
    /// accounts (S17).
    pub(super) fn reload(&self, config: &Config) {
        // Stored first: a session that starts meanwhile reads it, or is found below.
        self.verified_only
            .store(config.signup.verify_email, Ordering::SeqCst);
        if config.signup.verify_email {
            let all = self.matching(SessionsToEnd::All).into_iter();
            all.filter(|session| !session.principal().email_verified)
                .for_each(|session| session.end());
        }
    }

    /// Fails while another gateway may have ended sessions: then no session in memory may be trusted.
    pub fn require_store_lock(&self) -> Result<(), StoreError> {
        self.store.require_lock()
    }

    /// Returns the active session with this token and marks it as used. Takes no lock and no store access.
    pub fn find(&self, digest: &TokenDigest) -> Option<Arc<ActiveSession>> {
        let now = self.moment();
        let session = self.lasting(digest, now)?;
        session.mark_used(now);
        Some(session)
    }

    /// Like [`Self::find`], without marking the session as used.
    pub fn peek(&self, digest: &TokenDigest) -> Option<Arc<ActiveSession>> {
        self.lasting(digest, self.moment())
    }

    /// Records that the account's password was checked just now, unless it was changed since.
    pub(super) async fn mark_reauthenticated(
        &self,
        session: &ActiveSession,
        account: &Account,
    ) -> Result<(), StoreError> {
        let now = self.moment();
        let owner = Actor::owner(session, Some(account.password_changed_at));
        let store = owner.act_on(&self.store);
        let proved = store.mark_reauthenticated(session.digest(), now.wall(), account.password_changed_at);
        proved.await?;
        session.mark_proved(now);
        Ok(())
    }

    /// Returns whether the password was checked `within` this time.
    pub fn is_proved(&self, session: &ActiveSession, within: Duration) -> bool {
        let age = session.since_reauthentication(self.moment());
        age.is_some_and(|age| age < within)
    }

    fn lasting(&self, digest: &TokenDigest, now: DualTime) -> Option<Arc<ActiveSession>> {
        let live = self.live.pin();
        let session = live.get(digest)?;
        if session.is_over(now) {
            session.end();
            return None;
        }
        Some(Arc::clone(session))
    }

    /// Starts a session, replacing the one of the sign-in request (S27). `None` if the account or the access
    /// key was revoked since it was read.
    pub(super) async fn begin(
        &self,
        account: &Account,
        with: SignInCredential<'_>,
        address: IpAddr,
        user_agent: &str,
        replaces: Option<TokenDigest>,
    ) -> Result<Option<(PlainToken, Arc<ActiveSession>)>, StoreError> {
        let (token, moment) = (PlainToken::new(&self.random), self.moment());
        let now = moment.wall();
        let (method, key) = match with {
            SignInCredential::Password => (SignInMethod::Password, None),
            SignInCredential::AccessKey(key) => (SignInMethod::Iam, Some(key)),
        };
        let session = Session {
            id: SessionId::new(now, &self.random),
            digest: token.digest(),
            account: account.id,
            method,
            access_key: key.map(ActiveKey::id),
            created_at: now,
            last_seen_at: now,
            proved_at: (method == SignInMethod::Password).then_some(now),
            password_changed_at: Some(account.password_changed_at),
            address,
            user_agent: user_agent.to_owned(),
        };
        let limits = self.limits.with_key(key.and_then(ActiveKey::expires));
        let live = Arc::new(ActiveSession::new(session.clone(), account, limits, moment));
        // In memory first: whatever ends the sessions of the account or the key from now on ends this one
        // too.
        self.insert(&live);
        let is_unproven = self.verified_only.load(Ordering::SeqCst) && !account.email_verified;
        let is_key_shut_out = key.is_some_and(|key| self.revocations.has_key(&key.id()));
        if is_unproven || is_key_shut_out || self.revocations.has_account(account.id) {
            self.remove(&live);
            return Ok(None);
        }
        // The store may have this one by then, and the replaced one no longer: the next sweep ends both there.
        let abandoned = OnAbandoned::new(|| {
            live.end();
            if let Some(replaced) = replaces {
                self.end_in_memory(SessionsToEnd::Token(replaced));
            }
        });
        let put = self.store.put_session(session, replaces).await;
        if let Err(error @ StoreError::OutcomeUnknown(_)) = put {
            return Err(error);
        }
        abandoned.disarm();
        if !matches!(put, Ok(PutSession::Kept)) {
            self.remove(&live);
            return put.map(|_| None);
        }
        if let Some(replaced) = replaces.and_then(|digest| self.live.pin().get(&digest).cloned()) {
            self.remove(&replaced);
        }
        if live.is_over(moment) {
            // It was ended while it was being stored, perhaps before the store could find it.
            self.store
                .end_sessions(SessionsToEnd::Token(live.digest()))
                .await?;
        }
        Ok(Some((token, live)))
    }

    /// Ends sessions, in memory at once, then in the store, and returns their number.
    ///
    /// If the store fails, they are refused anyway, and the store is told again later.
    pub async fn end(&self, which: SessionsToEnd) -> Result<usize, StoreError> {
        let ending = self.matching(which);
        for session in &ending {
            session.end();
        }
        let stored = self.store.end_sessions(which).await;
        let stored = stored.map_err(|error| untold(&ending, error))?;
        for session in &ending {
            self.remove(session);
        }
        Ok(stored.max(ending.len()))
    }

    /// Ends sessions for an actor, in the store first: if the actor's precondition fails, none ends. If the
    /// store fails or takes its time, they end in memory, provided memory vouches for the actor, and the store
    /// is told again later.
    pub(super) async fn end_by(&self, actor: &Actor, which: SessionsToEnd) -> Result<usize, StoreError> {
        let ending = self.matching(which);
        let end = || ending.iter().for_each(|session| session.end());
        let store = actor.act_on(&self.store);
        // The store goes on with it if the caller goes away.
        let abandoned = OnAbandoned::new(|| {
            if self.vouch_for(actor) {
                end();
            }
        });
        let (stored, is_ended) = or_hold(store.end_sessions(which), Instant::now() + PATIENCE, || {
            self.vouch_for(actor).then(&end)
        })
        .await;
        abandoned.disarm();
        let stored = match stored {
            Err(error)
                if is_ended.is_some()
                    || error.is_outcome_unknown()
                    || (!error.is_refusal() && self.vouch_for(actor)) =>
            {
                end();
                return Err(untold(&ending, error));
            }
            stored => stored?,
        };
        for session in &ending {
            self.remove(session);
        }
        Ok(stored.max(ending.len()))
    }

    /// Removes from memory the sessions that the store has ended.
    pub(super) fn forget(&self, which: SessionsToEnd) {
        for session in self.matching(which) {
            self.remove(&session);
        }
    }

    /// Ends sessions in memory; the next sweep ends them in the store.
    pub(super) fn end_in_memory(&self, which: SessionsToEnd) {
        for session in self.matching(which) {
            session.end();
        }
    }

    /// Ends in the store now a session that memory has ended, if that is still to be done: a repeated
    /// sign-out must not succeed before the store has it.
    pub async fn settle(&self, digest: &TokenDigest) -> Result<(), StoreError> {
        let session = self.live.pin().get(digest).cloned();
        if let Some(session) = session.filter(|session| session.is_over(self.moment())) {
            self.store.end_sessions(SessionsToEnd::Token(*digest)).await?;
            self.remove(&session);
        }
        Ok(())
    }

    /// Returns the account of this name if it has a session; used when the store is unavailable.
    pub(super) fn account_named(&self, name: &TypedName) -> Option<AccountName> {
        let live = self.live.pin();
        let mut accounts = live
            .values()
            .map(|session| AccountName::from(&*session.principal()));
        accounts.find(|account| name.fits(account))
    }

    /// Returns whether the actor's precondition holds by the session in memory; used when the store is
    /// unavailable.
    pub(super) fn vouch_for(&self, actor: &Actor) -> bool {
        let Some(precondition) = actor.precondition() else {
            return true;
        };
        let session = precondition.session.and_then(|digest| self.peek(&digest));
        session.is_some_and(|session| {
            let administrators = precondition.administrators.as_ref();
            session.account() == precondition.account
                && administrators.is_none_or(|rule| session.principal().groups.contains(&rule.group()))
        })
    }

    /// Updates the sessions of an account to its stored groups, names and address; ends them if the account
    /// is not active, and those that do not know its password. The account is read here, so that of concurrent
    /// changes the last in the store wins. If the store is unavailable, `account` may be outdated: the sessions
    /// lose the groups that it lacks and gain none, until the store responds.
    pub async fn refresh(&self, account: &Account) {
        if let Err(error) = self.try_refresh(account.id).await {
            tracing::warn!(%error, account = %account.id, "its sessions have no more groups than are known for sure until the store answers");
            self.restrict(account);
        }
    }

    /// Like [`Self::refresh`]; if the store is unavailable, changes nothing and fails.
    pub(super) async fn try_refresh(&self, id: AccountId) -> Result<(), StoreError> {
        let _in_order = self.refreshing.lock(id).await;
        loop {
            let restriction = self.unsettled.of(id);
            let stored = match restriction {
                // The change that it may lack may still be under way.
                Some(_) => self.store.settled_account(id).await?,
                None => self.store.account(id).await?,
            };
            let apply = || self.apply(id, stored.as_ref());
            if self.unsettled.settle(id, restriction, apply) {
                return Ok(());
            }
        }
    }

    fn apply(&self, id: AccountId, stored: Option<&Account>) {
        let active = stored.filter(|account| account.status == AccountStatus::Active);
        for session in self.matching(SessionsToEnd::Account(id, None)) {
            match active.filter(|account| session.knows_password(account)) {
                Some(account) => session.refresh(account),
                None => session.end(),
            }
        }
    }

    /// Takes from the sessions of an account what `account`, as the store may have it by now, does not allow:
    /// groups, or all if it is not active or has another password. They gain nothing before it was read.
    pub(super) fn restrict(&self, account: &Account) {
        self.unsettled.mark(account.id, || {
            for session in self.matching(SessionsToEnd::Account(account.id, None)) {
                if account.status == AccountStatus::Active && session.knows_password(account) {
                    session.restrict(&account.groups);
                } else {
                    session.end();
                }
            }
        });
    }

    /// Returns whether memory may allow the account less than the store.
    pub(super) fn is_unsettled(&self, id: AccountId) -> bool {
        self.unsettled.contains(id)
    }

    fn moment(&self) -> DualTime {
        DualTime::of(&self.clock)
    }

    fn matching(&self, which: SessionsToEnd) -> Vec<Arc<ActiveSession>> {
        let live = self.live.pin();
        match which {
            SessionsToEnd::Token(digest) => live.get(&digest).cloned().into_iter().collect(),
            SessionsToEnd::Id(id) => live.values().filter(|live| live.id() == id).cloned().collect(),
            SessionsToEnd::Account(account, except) => self
                .index()
                .get(&account)
                .into_iter()
                .flatten()
                .filter(|digest| Some(**digest) != except)
                .filter_map(|digest| live.get(digest).cloned())
                .collect(),
            SessionsToEnd::AccessKey(account, key) => {
                let mut of_account = self.matching(SessionsToEnd::Account(account, None));
                of_account.retain(|session| session.ends_with(key));
                of_account
            }
            SessionsToEnd::All => live.values().cloned().collect(),
        }
    }

    fn insert(&self, session: &Arc<ActiveSession>) {
        self.index()
            .entry(session.account())
            .or_default()
            .insert(session.digest());
        self.live.pin().insert(session.digest(), Arc::clone(session));
        self.metrics.sessions.increment();
    }

    fn remove(&self, session: &ActiveSession) {
        session.end();
        if self.live.pin().remove(&session.digest()).is_some() {
            self.metrics.sessions.decrement();
        }
        let mut index = self.index();
        if let Some(digests) = index.get_mut(&session.account()) {
            digests.remove(&session.digest());
            if digests.is_empty() {
                index.remove(&session.account());
            }
        }
    }

    fn index(&self) -> MutexGuard<'_, HashMap<AccountId, HashSet<TokenDigest>>> {
        self.by_account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs whose sessions ended only in memory, and adds a note to the error.
fn untold(ended: &[Arc<ActiveSession>], error: StoreError) -> StoreError {
    let what_follows = if error.may_pass() {
        "the store could not keep that sessions were ended: they serve nobody, and the store is told again"
    } else {
        ABANDONED
    };
    for (account, (email, sessions)) in by_owner(ended) {
        tracing::error!(
            %error,
            %account,
            email,
            sessions,
            "{what_follows}"
        );
    }
    error.with_note(HELD)
}

/// Returns each owner's address and number of sessions.
fn by_owner(sessions: &[Arc<ActiveSession>]) -> BTreeMap<AccountId, (String, usize)> {
    let mut owners = BTreeMap::new();
    for session in sessions {
        let new = || (session.principal().email.to_string(), 0);
        owners.entry(session.account()).or_insert_with(new).1 += 1;
    }
    owners
}

/// Returns whether the session began, or was reauthenticated, with the account's current password; judged by
/// time for rows without `password_changed_at`.
fn knows_password(session: &Session, account: &Account) -> bool {
    let since = account.password_changed_at;
    if let Some(known) = session.password_changed_at {
        return known == since;
    }
    session.created_at >= since || session.proved_at.is_some_and(|proved| proved >= since)
}

/// Returns the limits of a session, which may end with its access key; `None` if its key is not among `keys`.
/// For a row without the key's id, any key of its account counts.
fn limits_with_key(
    limits: SessionLimits,
    session: &Session,
    keys: &[AccessKey],
    now: DualTime,
) -> Option<SessionLimits> {
    if !session.is_of_key() {
        return Some(limits);
    }
    let may_be = |key: &&AccessKey| key.account == session.account && session.ends_with(key.id);
    let key = keys.iter().find(may_be)?;
    let known = session.access_key.and(Some(key));
    let end = known.and_then(|key| key.believed_end(now.wall()));
    Some(limits.with_key(end.map(|end| now.by_wall(end))))
}

/// Corrects a stored session. A time in the future was written while the clock was ahead: such a use or
/// reauthentication is dropped, and a session that began there has no known age, so it is over (`None`).
fn believed(session: Session, now: DualTime) -> Option<Session> {
    let is_believed = |at: &Timestamp| !clock::is_ahead(*at, now.wall());
    if !is_believed(&session.created_at) {
        tracing::warn!(session = %session.id, "a session began in the future, by a clock that was ahead: it is ended");
        return None;
    }
    Some(Session {
        last_seen_at: Some(session.last_seen_at)
            .filter(is_believed)
            .unwrap_or(session.created_at),
        proved_at: session.proved_at.filter(is_believed),
        ..session
    })
}

#[cfg(test)]
mod tests;
