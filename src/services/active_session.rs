//! An active session in memory.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::dual_time::{DualTime, timestamp};
use super::session_expiry::SessionLimits;
#[cfg(test)]
use crate::config::SessionConfig;
use crate::ids::{AccountId, SessionId};
use crate::model::{AccessKeyId, Account, Principal, Session, TokenDigest};

/// The least time between two noted uses, in milliseconds: concurrent requests of one session share an
/// unchanged cache line.
const NOTED_EVERY_MS: i64 = 1000;

/// No password check yet.
const NEVER: i64 = i64::MIN;

/// A session that has not ended.
#[derive(Debug)]
pub struct ActiveSession {
    session: Session,
    principal: ArcSwap<Principal>,
    /// Monotonic times of its start and last use.
    began: i64,
    last_seen: AtomicI64,
    /// Wall-clock time of its last use.
    last_seen_ms: AtomicI64,
    /// When the password was last checked, by the monotonic and the wall clock; [`NEVER`] before the first
    /// check.
    proved: AtomicI64,
    proved_ms: AtomicI64,
    /// The last use that is stored.
    stored_ms: AtomicI64,
    limits: SessionLimits,
    /// When the password was set that the session knows. Two while its owner changes the password: either may
    /// be the one in force.
    known_passwords: Mutex<Vec<Timestamp>>,
    ended: CancellationToken,
}

impl ActiveSession {
    pub(super) fn new(session: Session, account: &Account, limits: SessionLimits, now: DualTime) -> Self {
        let last_seen = session.last_seen_at.as_millisecond();
        let proved = session.proved_at.map(|proved| now.elapsed_at(proved));
        Self {
            principal: ArcSwap::from_pointee(principal(&session, account, limits)),
            began: now.elapsed_at(session.created_at),
            last_seen: AtomicI64::new(now.elapsed_at(session.last_seen_at)),
            proved: AtomicI64::new(proved.unwrap_or(NEVER)),
            proved_ms: AtomicI64::new(session.proved_at.map_or(NEVER, Timestamp::as_millisecond)),
            session,
            last_seen_ms: AtomicI64::new(last_seen),
            stored_ms: AtomicI64::new(last_seen),
            limits,
            known_passwords: Mutex::new(vec![account.password_changed_at]),
            ended: CancellationToken::new(),
        }
    }

    /// The user as they are now.
    pub fn principal(&self) -> Arc<Principal> {
        self.principal.load_full()
    }

    /// Its public id.
    pub fn id(&self) -> SessionId {
        self.session.id
    }

    /// The digest of its token.
    pub fn digest(&self) -> TokenDigest {
        self.session.digest
    }

    /// Cancelled when the session ends for any reason, expiry included; streams and upgraded connections wait
    /// for it.
    pub fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    pub(super) fn ends_with(&self, key: AccessKeyId) -> bool {
        self.session.ends_with(key)
    }

    /// When the password was last checked.
    pub fn reauthenticated_at(&self) -> Option<Timestamp> {
        let proved = self.proved_ms.load(Ordering::Relaxed);
        (proved != NEVER).then(|| timestamp(proved))
    }

    pub(super) fn mark_proved(&self, now: DualTime) {
        self.proved_ms
            .store(now.wall().as_millisecond(), Ordering::Relaxed);
        self.proved.store(now.elapsed_ms(), Ordering::Relaxed);
    }

    /// Returns the time since the password was last checked, by the monotonic clock. `None` if the wall clock
    /// was set back before that check.
    pub(super) fn since_reauthentication(&self, now: DualTime) -> Option<Duration> {
        self.reauthenticated_at().filter(|proved| *proved <= now.wall())?;
        let proved = self.proved.load(Ordering::Relaxed);
        let since = now.elapsed_ms().saturating_sub(proved);
        Some(Duration::from_millis(u64::try_from(since).unwrap_or(0)))
    }

    #[cfg(test)]
    pub(crate) fn sample(session: Session, account: &Account) -> Self {
        let now = DualTime::begin(session.last_seen_at);
        Self::new(
            session,
            account,
            SessionLimits::new(&SessionConfig::default()),
            now,
        )
    }

    pub(super) fn account(&self) -> AccountId {
        self.session.account
    }

    /// The session as it should be stored.
    pub(super) fn session(&self) -> Session {
        Session {
            last_seen_at: timestamp(self.last_seen_ms.load(Ordering::Relaxed)),
            proved_at: self.reauthenticated_at(),
            ..self.session.clone()
        }
    }

    /// When it expires unless it is used, by the wall clock as of its last use.
    pub fn expires_at(&self) -> Timestamp {
        let left = self
            .natural_end()
            .saturating_sub(self.last_seen.load(Ordering::Relaxed));
        timestamp(self.last_seen_ms.load(Ordering::Relaxed).saturating_add(left))
    }

    pub(super) fn is_over(&self, now: DualTime) -> bool {
        self.has_ended() || now.elapsed_ms() >= self.natural_end()
    }

    pub(super) fn mark_used(&self, now: DualTime) {
        if now
            .elapsed_ms()
            .saturating_sub(self.last_seen.load(Ordering::Relaxed))
            >= NOTED_EVERY_MS
        {
            self.last_seen.store(now.elapsed_ms(), Ordering::Relaxed);
            self.last_seen_ms
                .store(now.wall().as_millisecond(), Ordering::Relaxed);
        }
    }

    /// Returns the last use unless it is stored, and marks it as stored.
    pub(super) fn unstored_use(&self) -> Option<(TokenDigest, Timestamp)> {
        let seen = self.last_seen_ms.load(Ordering::Relaxed);
        let stored = self.stored_ms.swap(seen, Ordering::Relaxed);
        (seen != stored).then(|| (self.digest(), timestamp(seen)))
    }

    /// Returns whether the session began with the account's password, or its owner set that in it.
    pub(super) fn knows_password(&self, account: &Account) -> bool {
        self.known_passwords().contains(&account.password_changed_at)
    }

    /// Notes that its owner is about to set another password in this session.
    pub(super) fn may_set_password(&self, at: Timestamp) {
        self.known_passwords().push(at);
    }

    fn known_passwords(&self) -> MutexGuard<'_, Vec<Timestamp>> {
        self.known_passwords
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn refresh(&self, account: &Account) {
        self.principal
            .store(Arc::new(principal(&self.session, account, self.limits)));
    }

    /// Removes the groups that are not in `groups`.
    pub(super) fn restrict(&self, groups: &BTreeSet<String>) {
        let current = self.principal();
        if !current.groups.is_subset(groups) {
            self.principal.store(Arc::new(Principal {
                groups: current.groups.intersection(groups).cloned().collect(),
                ..Principal::clone(&current)
            }));
        }
    }

    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    /// When it expires, by the monotonic clock.
    fn natural_end(&self) -> i64 {
        self.limits
            .end(self.began, self.last_seen.load(Ordering::Relaxed))
    }
}

fn principal(session: &Session, account: &Account, limits: SessionLimits) -> Principal {
    let end = limits.latest_end(session);
    Principal::of(account, session.method, Some(session.id), end)
}
