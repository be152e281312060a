//! One session in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::SessionConfig;
use crate::ids::{AccountId, SessionId};
use crate::model::{Account, Principal, Session, TokenDigest};

/// A use is noted when the last one that was is so old: many requests of one session then share an unchanged line of
/// the processor's cache.
const NOTED_EVERY_MS: i64 = 1000;

/// Before every proof.
const NEVER: i64 = i64::MIN;

/// A session that lasts.
#[derive(Debug)]
pub struct LiveSession {
    session: Session,
    principal: ArcSwap<Principal>,
    last_seen_ms: AtomicI64,
    /// When its owner last proved to know the password; [`NEVER`] if they did not.
    proved_ms: AtomicI64,
    /// The last use that the store knows of.
    stored_ms: AtomicI64,
    limits: Limits,
    ended: CancellationToken,
}

/// When sessions end by themselves, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    idle: i64,
    absolute: i64,
}

impl Limits {
    pub(super) fn new(config: &SessionConfig) -> Self {
        let millis = |period: Duration| i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
        Self {
            idle: millis(config.idle.0),
            absolute: millis(config.absolute.0),
        }
    }

    /// The moment before which sessions were begun that are over now.
    pub(super) fn oldest(self, now: Timestamp) -> Timestamp {
        timestamp(now.as_millisecond().saturating_sub(self.absolute))
    }
}

impl LiveSession {
    pub(super) fn new(session: Session, account: &Account, limits: Limits) -> Self {
        let last_seen = session.last_seen_at.as_millisecond();
        Self {
            principal: ArcSwap::from_pointee(principal(&session, account, limits)),
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

    /// When its owner last proved to know the password.
    pub fn proved_at(&self) -> Option<Timestamp> {
        let proved = self.proved_ms.load(Ordering::Relaxed);
        (proved != NEVER).then(|| timestamp(proved))
    }

    pub(super) fn mark_proved(&self, now: Timestamp) {
        self.proved_ms.store(now.as_millisecond(), Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn sample(session: Session, account: &Account) -> Self {
        Self::new(session, account, Limits::new(&SessionConfig::default()))
    }

    pub(super) fn account(&self) -> AccountId {
        self.session.account
    }

    /// What the store should know of it.
    pub(super) fn session(&self) -> Session {
        Session {
            last_seen_at: timestamp(self.last_seen_ms.load(Ordering::Relaxed)),
            proved_at: self.proved_at(),
            ..self.session.clone()
        }
    }

    /// When it ends unless it is used.
    pub fn expires_at(&self) -> Timestamp {
        timestamp(self.expires_ms())
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.has_ended() || now.as_millisecond() >= self.expires_ms()
    }

    pub(super) fn mark_used(&self, now: Timestamp) {
        let now = now.as_millisecond();
        if now.saturating_sub(self.last_seen_ms.load(Ordering::Relaxed)) >= NOTED_EVERY_MS {
            self.last_seen_ms.store(now, Ordering::Relaxed);
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

    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    fn expires_ms(&self) -> i64 {
        let idle = self
            .last_seen_ms
            .load(Ordering::Relaxed)
            .saturating_add(self.limits.idle);
        idle.min(absolute_end(&self.session, self.limits))
    }
}

fn principal(session: &Session, account: &Account, limits: Limits) -> Principal {
    let end = timestamp(absolute_end(session, limits));
    Principal::of(account, session.method, Some(session.id), end)
}

fn absolute_end(session: &Session, limits: Limits) -> i64 {
    session
        .created_at
        .as_millisecond()
        .saturating_add(limits.absolute)
}

fn timestamp(millis: i64) -> Timestamp {
    let out_of_range = if millis < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_millisecond(millis).unwrap_or(out_of_range)
}
