//! Sessions: in memory for every request, in the store for a restart.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::account_name::{AccountName, TypedName};
use super::active_session::{ActiveSession, DualTime, SessionLimits};
use super::deferred_revocations::HELD;
use super::pending_revocations::PendingRevocations;
use super::settled_time::SettledTime;
use super::{ActiveKey, Actor};
use crate::clock::{self, Clock};
use crate::config::{Config, SessionConfig};
use crate::ids::{AccountId, SessionId};
use crate::metrics::Metrics;
use crate::model::{AccessKey, Account, AccountStatus, PlainToken, Session, SignInMethod, TokenDigest};
use crate::random::Random;
use crate::store::{PutSession, SessionsToEnd, Store, StoreError, UnreadableRow};

/// How often sessions whose time is over are ended: their streams must end within 5 s (S28).
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// After how many sweeps uses are written back: every half minute.
const SWEEPS_A_WRITE: u32 = 15;

/// A session, for a list.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SessionInfo {
    /// What the store knows of it, as last seen.
    #[serde(flatten)]
    pub session: Session,
    /// Whose it is.
    pub email: String,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
}

/// What somebody signs in with.
#[derive(Clone, Copy, Debug)]
pub(super) enum SignInCredential<'a> {
    Password,
    AccessKey(&'a ActiveKey),
}

/// Whose sessions are found at start.
enum Owner {
    Active(Box<Account>),
    ShutOut,
    Unreadable,
}

/// All sessions.
///
/// Memory is what counts while the gateway runs. A session that was ended but is still in the map serves nobody; the
/// next sweep takes it out of the map and the store.
#[derive(Debug)]
pub struct Sessions {
    store: Arc<dyn Store>,
    limits: SessionLimits,
    clock: Clock,
    random: Random,
    live: papaya::HashMap<TokenDigest, Arc<ActiveSession>>,
    by_account: Mutex<HashMap<AccountId, HashSet<TokenDigest>>>,
    /// Held from the reading of an account until its sessions have what was read: one for many accounts, and several
    /// of them, so that a slow answer of the store holds up few.
    refreshing: [tokio::sync::Mutex<()>; 64],
    /// Accounts whose sessions may have fewer groups than the store says.
    unsettled: Mutex<HashSet<AccountId>>,
    metrics: Arc<Metrics>,
    /// Accounts that are shut out though the store does not know of it.
    revocations: Arc<PendingRevocations>,
    /// What may be swept from the store.
    settled: Mutex<SettledTime>,
    /// `signup.verify_email`
    verified_only: AtomicBool,
}

impl Sessions {
    /// Reads them from the store. Those whose time is over, or whose account may not sign in any more, are ended; so are
    /// those that do not know the account's password, and those whose access key is gone, switched off or expired.
    pub(super) async fn load(
        store: Arc<dyn Store>,
        config: &SessionConfig,
        clock: Clock,
        random: Random,
        metrics: Arc<Metrics>,
        revocations: Arc<PendingRevocations>,
    ) -> Result<Self, StoreError> {
        let sessions = Self {
            store,
            limits: SessionLimits::new(config),
            settled: Mutex::new(SettledTime::since(&clock)),
            clock,
            random,
            live: papaya::HashMap::new(),
            by_account: Mutex::default(),
            refreshing: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            unsettled: Mutex::default(),
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
                // What may have become of it cannot be known: its sessions serve nobody, and stay as they are.
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
                // Found again at the next start, if it stays.
                if let Err(error) = sessions.store.end_sessions(SessionsToEnd::Token(digest)).await {
                    tracing::warn!(%error, "a session that is over could not be removed");
                }
                continue;
            };
            sessions.insert(&Arc::new(live));
        }
        Ok(sessions)
    }

    /// The access keys that are switched on, if any of these sessions was begun with one.
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

    /// Holds to another configuration from now on: where addresses must be proven, sessions of accounts whose address is
    /// not are ended (S17).
    pub(super) fn reload(&self, config: &Config) {
        // First, so that a session that begins meanwhile is told, or found here.
        self.verified_only
            .store(config.signup.verify_email, Ordering::SeqCst);
        if config.signup.verify_email {
            let all = self.matching(SessionsToEnd::All).into_iter();
            all.filter(|session| !session.principal().email_verified)
                .for_each(|session| session.end());
        }
    }

    /// An error while sessions may have been ended elsewhere: then none of these is good.
    pub fn require_store_lock(&self) -> Result<(), StoreError> {
        self.store.require_lock()
    }

    /// The live session with this token, marked as used. No lock, no store.
    pub fn find(&self, digest: &TokenDigest) -> Option<Arc<ActiveSession>> {
        let now = self.moment();
        let session = self.lasting(digest, now)?;
        session.mark_used(now);
        Some(session)
    }

    /// The same, not marked as used.
    pub fn peek(&self, digest: &TokenDigest) -> Option<Arc<ActiveSession>> {
        self.lasting(digest, self.moment())
    }

    /// Notes that its owner proved just now to know the password of the account, if that still serves.
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

    /// Whether its owner proved to know the password in this last time.
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

    /// Begins one, in place of the one that came with the sign-in (S27). `None` if the account, or the access key, was shut
    /// out since it was read.
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
        // In memory first: whatever ends the account's sessions, or its key's, from now on ends this one too.
        self.insert(&live);
        let is_unproven = self.verified_only.load(Ordering::SeqCst) && !account.email_verified;
        let is_key_shut_out = key.is_some_and(|key| self.revocations.has_key(&key.id()));
        if is_unproven || is_key_shut_out || self.revocations.has_account(account.id) {
            self.remove(&live);
            return Ok(None);
        }
        let put = self.store.put_session(session, replaces).await;
        if !matches!(put, Ok(PutSession::Kept)) {
            self.remove(&live);
            return put.map(|_| None);
        }
        if let Some(replaced) = replaces.and_then(|digest| self.live.pin().get(&digest).cloned()) {
            self.remove(&replaced);
        }
        if live.is_over(moment) {
            // Ended while it was being stored, perhaps before it was there to be found.
            self.store
                .end_sessions(SessionsToEnd::Token(live.digest()))
                .await?;
        }
        Ok(Some((token, live)))
    }

    /// Ends them: at once in memory, then in the store. How many there were.
    ///
    /// If the store cannot be told now, they serve nobody all the same, and it is told again until it agrees.
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

    /// The same for an actor, in the store first: one that may not do it any more ends none. If the store cannot tell,
    /// memory does, and the store is told until it agrees.
    pub(super) async fn end_by(&self, actor: &Actor, which: SessionsToEnd) -> Result<usize, StoreError> {
        let ending = self.matching(which);
        let stored = match actor.act_on(&self.store).end_sessions(which).await {
            Err(error) if !error.is_refusal() && self.vouch_for(actor) => {
                for session in &ending {
                    session.end();
                }
                return Err(untold(&ending, error));
            }
            stored => stored?,
        };
        for session in &ending {
            self.remove(session);
        }
        Ok(stored.max(ending.len()))
    }

    /// Takes out of memory what the store has ended.
    pub(super) fn forget(&self, which: SessionsToEnd) {
        for session in self.matching(which) {
            self.remove(&session);
        }
    }

    /// Ends them in memory; whoever sweeps tells the store.
    pub(super) fn end_in_memory(&self, which: SessionsToEnd) {
        for session in self.matching(which) {
            session.end();
        }
    }

    /// Tells the store now that the session with this token has ended, if it still has to be told: signing out again is
    /// no more done than it was the first time.
    pub async fn settle(&self, digest: &TokenDigest) -> Result<(), StoreError> {
        let session = self.live.pin().get(digest).cloned();
        if let Some(session) = session.filter(|session| session.is_over(self.moment())) {
            self.store.end_sessions(SessionsToEnd::Token(*digest)).await?;
            self.remove(&session);
        }
        Ok(())
    }

    /// The account by this name, if it has a session: for when the store cannot tell.
    pub(super) fn account_named(&self, name: &TypedName) -> Option<AccountName> {
        let live = self.live.pin();
        let mut accounts = live
            .values()
            .map(|session| AccountName::from(&*session.principal()));
        accounts.find(|account| name.fits(account))
    }

    /// Whether the actor may act by what memory says of the session and its account, for when the store cannot tell.
    pub(super) fn vouch_for(&self, actor: &Actor) -> bool {
        let Some(precondition) = actor.precondition() else {
            return true;
        };
        let session = self.peek(&precondition.session);
        session.is_some_and(|session| {
            let group = precondition.group.as_ref();
            session.account() == precondition.account
                && group.is_none_or(|group| session.principal().groups.contains(group))
        })
    }

    /// Gives the sessions of an account its groups, names and address as the store has them; ends them if it may not
    /// sign in any more. Of changes at one moment the last in the store is the one that stays, whichever comes by here
    /// last. Where the store does not answer, `account` may be older than what they have: they lose what it lacks and
    /// gain nothing, until the store answers.
    pub async fn refresh(&self, account: &Account) {
        if let Err(error) = self.try_refresh(account.id).await {
            tracing::warn!(%error, account = %account.id, "its sessions have no more groups than are known for sure until the store answers");
            self.restrict(account);
        }
    }

    /// The same; an error if the store does not answer, and then nothing is changed.
    pub(super) async fn try_refresh(&self, id: AccountId) -> Result<(), StoreError> {
        let [.., last] = id.as_bytes();
        let turn = usize::from(*last) % self.refreshing.len();
        let _in_order = self.refreshing[turn].lock().await;
        let stored = self.store.account(id).await?;
        for session in self.matching(SessionsToEnd::Account(id, None)) {
            match &stored {
                Some(current) if current.status == AccountStatus::Active => session.refresh(current),
                _ => session.end(),
            }
        }
        self.unsettled().remove(&id);
        Ok(())
    }

    fn restrict(&self, account: &Account) {
        self.unsettled().insert(account.id);
        for session in self.matching(SessionsToEnd::Account(account.id, None)) {
            match account.status {
                AccountStatus::Active => session.restrict(&account.groups),
                _ => session.end(),
            }
        }
    }

    /// Asks the store again for accounts of which it could not tell.
    async fn settle_accounts(&self) {
        let unsettled: Vec<AccountId> = self.unsettled().iter().copied().collect();
        for id in unsettled {
            if self.try_refresh(id).await.is_err() {
                return;
            }
        }
    }

    fn unsettled(&self) -> MutexGuard<'_, HashSet<AccountId>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of an account, or all; newest first.
    pub fn list(&self, account: Option<AccountId>) -> Vec<SessionInfo> {
        let now = self.moment();
        let which = account.map_or(SessionsToEnd::All, |id| SessionsToEnd::Account(id, None));
        let mut list: Vec<SessionInfo> = self
            .matching(which)
            .into_iter()
            .filter(|session| !session.is_over(now))
            .map(|session| SessionInfo {
                session: session.session(),
                email: session.principal().email.to_string(),
                expires_at: session.expires_at(),
            })
            .collect();
        list.sort_by_key(|info| std::cmp::Reverse((info.session.created_at, info.session.id)));
        list
    }

    /// Writes back when sessions were used, and ends those whose time is over, until `stop`.
    pub async fn run_maintenance(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sweeps = 0;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.sweep().await;
            self.settle_accounts().await;
            sweeps += 1;
            if sweeps % SWEEPS_A_WRITE == 0 {
                self.write_uses().await;
                self.sweep_store().await;
            }
        }
        self.write_uses().await;
        self.sweep().await;
        let now = self.moment();
        let live = self.live.pin();
        let untold: Vec<_> = live.values().filter(|live| live.is_over(now)).cloned().collect();
        for (account, (email, sessions)) in by_owner(&untold) {
            tracing::error!(
                %account,
                email,
                sessions,
                "sessions were ended and the store could not be told: they live again at the next start, until they \
                 are ended again (`vestibule session revoke`)"
            );
        }
    }

    /// Takes out what is over.
    async fn sweep(&self) {
        let now = self.moment();
        let over: Vec<_> = self
            .live
            .pin()
            .values()
            .filter(|live| live.is_over(now))
            .cloned()
            .collect();
        // Their streams end now, whatever the store says; they stay in the map until the store has forgotten them.
        for session in &over {
            session.end();
        }
        for session in &over {
            let which = SessionsToEnd::Token(session.digest());
            match self.store.end_sessions(which).await {
                Ok(_) => self.remove(session),
                // A row that is damaged stands in no other's way.
                Err(StoreError::Corrupt(error)) => {
                    tracing::warn!(error, session = %session.id(), "a session that is over could not be removed");
                }
                Err(error) => {
                    tracing::warn!(%error, "sessions that are over could not be removed; trying again soon");
                    return;
                }
            }
        }
    }

    async fn write_uses(&self) {
        let uses: Vec<_> = self
            .live
            .pin()
            .values()
            .filter_map(|live| live.unstored_use())
            .collect();
        if !uses.is_empty()
            && let Err(error) = self.store.touch_sessions(uses).await
        {
            tracing::warn!(%error, "the last use of sessions could not be stored");
        }
    }

    async fn sweep_store(&self) {
        let now = {
            let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
            settled.read(&self.clock)
        };
        if let Err(error) = self.store.sweep(now, self.limits.oldest(now)).await {
            tracing::warn!(%error, "what expired could not be removed from the store");
        }
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

/// Says whose sessions are ended though the store could not keep it for this reason.
fn untold(ended: &[Arc<ActiveSession>], error: StoreError) -> StoreError {
    for (account, (email, sessions)) in by_owner(ended) {
        tracing::error!(
            %error,
            %account,
            email,
            sessions,
            "the store could not keep that sessions were ended: they serve nobody, and the store is told again"
        );
    }
    error.with_note(HELD)
}

/// Their owners' addresses, and how many each has.
fn by_owner(sessions: &[Arc<ActiveSession>]) -> BTreeMap<AccountId, (String, usize)> {
    let mut owners = BTreeMap::new();
    for session in sessions {
        let new = || (session.principal().email.to_string(), 0);
        owners.entry(session.account()).or_insert_with(new).1 += 1;
    }
    owners
}

/// Whether it began, or was proved, with the password that the account has now. Where that was not kept, the clock tells.
fn knows_password(session: &Session, account: &Account) -> bool {
    let since = account.password_changed_at;
    if let Some(known) = session.password_changed_at {
        return known == since;
    }
    session.created_at >= since || session.proved_at.is_some_and(|proved| proved >= since)
}

/// How long a session lasts at most, which may end with its access key; `None` if that is not among `keys`. Of one whose
/// key was not kept any key of its account may be it.
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

/// A session as it is taken from the store. What lies in the future was written while the clock was ahead: such a use or
/// proof is taken for none, and a session that begins there has no known age, so it is over.
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
