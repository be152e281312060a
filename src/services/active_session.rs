//! One session in memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::SessionConfig;
use crate::ids::{AccountId, SessionId};
use crate::model::{AccessKeyId, Account, Principal, Session, TokenDigest};

/// A use is noted when the last one that was is so old: many requests of one session then share an unchanged line of
/// the processor's cache.
const NOTED_EVERY_MS: i64 = 1000;

/// Before every proof.
const NEVER: i64 = i64::MIN;

/// One moment by both clocks: the wall clock for people and the store, the monotonic one for how long a session lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct DualTime {
    wall: Timestamp,
    elapsed_ms: i64,
}

impl DualTime {
    pub(super) fn of(clock: &Clock) -> Self {
        Self {
            wall: clock.now(),
            elapsed_ms: millis(clock.monotonic()),
        }
    }

    pub(super) fn wall(self) -> Timestamp {
        self.wall
    }

    /// The moment at which the wall clock says this, if nobody sets it.
    pub(super) fn by_wall(self, wall: Timestamp) -> Self {
        let ahead = wall.as_millisecond().saturating_sub(self.wall.as_millisecond());
        Self {
            wall,
            elapsed_ms: self.elapsed_ms.saturating_add(ahead),
        }
    }

    /// Whether one of the clocks says that it is `now`, or later.
    pub(super) fn has_come(self, now: Self) -> bool {
        self.elapsed_ms <= now.elapsed_ms || self.wall <= now.wall
    }

    /// What the monotonic clock said, or would have said, at a moment of the past; one that is to come is now.
    fn elapsed_at(self, wall: Timestamp) -> i64 {
        let age = self.wall.as_millisecond().saturating_sub(wall.as_millisecond());
        self.elapsed_ms.saturating_sub(age.max(0))
    }
}

/// A session that lasts.
#[derive(Debug)]
pub struct ActiveSession {
    session: Session,
    principal: ArcSwap<Principal>,
    /// By the monotonic clock, when it began and was last used.
    began: i64,
    last_seen: AtomicI64,
    /// By the wall clock, when it was last used.
    last_seen_ms: AtomicI64,
    /// When its owner last proved to know the password, by the monotonic clock and by the wall clock; [`NEVER`] if they
    /// did not.
    proved: AtomicI64,
    proved_ms: AtomicI64,
    /// The last use that the store knows of.
    stored_ms: AtomicI64,
    limits: SessionLimits,
    ended: CancellationToken,
}

/// When sessions end by themselves, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionLimits {
    idle: i64,
    absolute: i64,
    /// When the access key expires that the session was begun with.
    key: Option<DualTime>,
}

impl SessionLimits {
    pub(super) fn new(config: &SessionConfig) -> Self {
        Self {
            idle: millis(config.idle.0),
            absolute: millis(config.absolute.0),
            key: None,
        }
    }

    /// The same for a session whose access key expires then, if it does.
    pub(super) fn with_key(self, key: Option<DualTime>) -> Self {
        Self { key, ..self }
    }

    /// The moment before which sessions were begun that are over now.
    pub(super) fn oldest(self, now: Timestamp) -> Timestamp {
        timestamp(now.as_millisecond().saturating_sub(self.absolute))
    }
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
            ended: CancellationToken::new(),
        }
    }

    /// Who signed in, as they are now.
    pub fn principal(&self) -> Arc<Principal> {
        self.principal.load_full()
    }

    /// Its public name.
    pub fn id(&self) -> SessionId {
        self.session.id
    }

    /// What is known of its token.
    pub fn digest(&self) -> TokenDigest {
        self.session.digest
    }

    /// Ends with the session, whatever ends it, expiry included: what a stream or an upgraded connection waits for.
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

    /// When its owner last proved to know the password.
    pub fn reauthenticated_at(&self) -> Option<Timestamp> {
        let proved = self.proved_ms.load(Ordering::Relaxed);
        (proved != NEVER).then(|| timestamp(proved))
    }

    pub(super) fn mark_proved(&self, now: DualTime) {
        self.proved_ms.store(now.wall.as_millisecond(), Ordering::Relaxed);
        self.proved.store(now.elapsed_ms, Ordering::Relaxed);
    }

    /// How long ago its owner last proved to know the password, whatever the wall clock was set to since. A proof from
    /// the future is none: the clock was set back.
    pub(super) fn since_reauthentication(&self, now: DualTime) -> Option<Duration> {
        self.reauthenticated_at().filter(|proved| *proved <= now.wall)?;
        let proved = self.proved.load(Ordering::Relaxed);
        let since = now.elapsed_ms.saturating_sub(proved);
        Some(Duration::from_millis(u64::try_from(since).unwrap_or(0)))
    }

    #[cfg(test)]
    pub(crate) fn sample(session: Session, account: &Account) -> Self {
        let now = DualTime {
            wall: session.last_seen_at,
            elapsed_ms: 0,
        };
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

    /// What the store should know of it.
    pub(super) fn session(&self) -> Session {
        Session {
            last_seen_at: timestamp(self.last_seen_ms.load(Ordering::Relaxed)),
            proved_at: self.reauthenticated_at(),
            ..self.session.clone()
        }
    }

    /// When it ends unless it is used, by the wall clock as it was when it was last used.
    pub fn expires_at(&self) -> Timestamp {
        let left = self
            .natural_end()
            .saturating_sub(self.last_seen.load(Ordering::Relaxed));
        timestamp(self.last_seen_ms.load(Ordering::Relaxed).saturating_add(left))
    }

    pub(super) fn is_over(&self, now: DualTime) -> bool {
        self.has_ended() || now.elapsed_ms >= self.natural_end()
    }

    pub(super) fn mark_used(&self, now: DualTime) {
        if now
            .elapsed_ms
            .saturating_sub(self.last_seen.load(Ordering::Relaxed))
            >= NOTED_EVERY_MS
        {
            self.last_seen.store(now.elapsed_ms, Ordering::Relaxed);
            self.last_seen_ms
                .store(now.wall.as_millisecond(), Ordering::Relaxed);
        }
    }

    /// The last use, if the store does not know of it yet; it is taken to know from now on.
    pub(super) fn unstored_use(&self) -> Option<(TokenDigest, Timestamp)> {
        let seen = self.last_seen_ms.load(Ordering::Relaxed);
        let stored = self.stored_ms.swap(seen, Ordering::Relaxed);
        (seen != stored).then(|| (self.digest(), timestamp(seen)))
    }

    pub(super) fn refresh(&self, account: &Account) {
        self.principal
            .store(Arc::new(principal(&self.session, account, self.limits)));
    }

    /// Takes away the groups that are not among these.
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

    /// When it is over by itself, by the monotonic clock.
    fn natural_end(&self) -> i64 {
        let last_seen = self.last_seen.load(Ordering::Relaxed);
        let absolute = self.began.saturating_add(self.limits.absolute);
        let key = self.limits.key.map_or(i64::MAX, |end| end.elapsed_ms);
        last_seen.saturating_add(self.limits.idle).min(absolute).min(key)
    }
}

fn principal(session: &Session, account: &Account, limits: SessionLimits) -> Principal {
    let end = timestamp(absolute_end(session, limits));
    Principal::of(account, session.method, Some(session.id), end)
}

fn absolute_end(session: &Session, limits: SessionLimits) -> i64 {
    let began = session.created_at.as_millisecond();
    let key = limits.key.map_or(i64::MAX, |end| end.wall.as_millisecond());
    began.saturating_add(limits.absolute).min(key)
}

fn millis(period: Duration) -> i64 {
    i64::try_from(period.as_millis()).unwrap_or(i64::MAX)
}

fn timestamp(millis: i64) -> Timestamp {
    let out_of_range = if millis < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_millisecond(millis).unwrap_or(out_of_range)
}
