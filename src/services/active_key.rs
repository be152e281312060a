//! One access key in memory.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::DerivedKeyCache;
use super::active_session::DualTime;
use crate::model::{AccessKey, AccessKeyId, Account, KeyScope, KeyUse, Principal, SecretKey, SignInMethod};

/// A use is noted when the last one that was is so old: many requests with one key then share an unchanged line of
/// the processor's cache.
const NOTED_EVERY_MS: i64 = 1000;

/// Of what a program calls itself so much is kept.
const CLIENT_LENGTH: usize = 256;

/// An access key that is switched on and whose owner may sign in.
///
/// It never changes: when the account or the key does, another takes its place and shares its life: it ends once for both.
#[derive(Debug)]
pub struct ActiveKey {
    id: AccessKeyId,
    secret: SecretKey,
    scope: KeyScope,
    principal: Arc<Principal>,
    derived: DerivedKeyCache,
    life: Arc<KeyState>,
}

/// What goes on while a key is replaced by a newer form of itself.
#[derive(Debug)]
pub(super) struct KeyState {
    /// When the key expires.
    expires: Option<DualTime>,
    /// The owner as the newest form knows them.
    owner: ArcSwapOption<Principal>,
    noted_ms: AtomicI64,
    /// The last use, if the store does not know of it yet.
    unstored: Mutex<Option<KeyUse>>,
    /// Whether failures may be counted against it. After a start nobody knows.
    pub(super) may_have_failures: AtomicBool,
    ended: CancellationToken,
}

impl KeyState {
    /// Of a key that expires then, if it does.
    pub(super) fn new(expires: Option<DualTime>) -> Self {
        Self {
            expires,
            owner: ArcSwapOption::empty(),
            noted_ms: AtomicI64::new(i64::MIN),
            unstored: Mutex::default(),
            may_have_failures: AtomicBool::new(true),
            ended: CancellationToken::new(),
        }
    }

    /// Of the same key, which serves again.
    pub(super) fn again(&self) -> Self {
        Self::new(self.expires)
    }
}

impl ActiveKey {
    pub(super) fn new(key: AccessKey, secret: SecretKey, account: &Account, life: Arc<KeyState>) -> Self {
        let end = key.expires_at.unwrap_or(Timestamp::MAX);
        let principal = Arc::new(Principal::of(account, SignInMethod::Iam, None, end));
        life.owner.store(Some(principal.clone()));
        Self {
            id: key.id,
            secret,
            scope: key.scope,
            principal,
            derived: DerivedKeyCache::default(),
            life,
        }
    }

    /// Its public half.
    pub fn id(&self) -> AccessKeyId {
        self.id
    }

    /// Its secret half.
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// What was derived from its secret half.
    pub fn derived(&self) -> &DerivedKeyCache {
        &self.derived
    }

    /// Its owner, as they were when this form of it was made.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Its owner as they are now, even where another form has taken its place.
    pub fn current_principal(&self) -> Arc<Principal> {
        let current = self.life.owner.load_full();
        current.unwrap_or_else(|| self.principal.clone())
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.life.is_ended()
    }

    /// Whether it may be used for a request with this method, on the route of this label.
    pub fn may_use(&self, route: &str, method: &str) -> bool {
        self.scope.covers(route, method)
    }

    /// Whether it may be used for some methods only.
    pub fn limits_methods(&self) -> bool {
        !self.scope.methods.is_empty()
    }

    /// Whether it may be used for some things only: then it signs nobody in.
    pub fn is_limited(&self) -> bool {
        self.scope.is_limited()
    }

    /// Ends when the key does, whatever ends it, expiry included: what a stream or an upgraded connection waits for.
    pub fn ended(&self) -> CancellationToken {
        self.life.ended.clone()
    }

    pub(super) fn life(&self) -> &Arc<KeyState> {
        &self.life
    }

    /// When it expires, if it does.
    pub(super) fn expires(&self) -> Option<DualTime> {
        self.life.expires
    }

    /// Whether it has expired, by either clock: one that was set back makes no key last longer.
    pub(super) fn is_over(&self, now: DualTime) -> bool {
        self.expires().is_some_and(|end| end.has_come(now))
    }

    pub(super) fn end(&self) {
        self.life.ended.cancel();
    }

    pub(super) fn note_use(&self, now: Timestamp, address: Option<IpAddr>, client: &str) {
        let now_ms = now.as_millisecond();
        let noted_ms = self.life.noted_ms.load(Ordering::Relaxed);
        if noted_ms != i64::MIN && now_ms.saturating_sub(noted_ms) < NOTED_EVERY_MS {
            return;
        }
        self.life.noted_ms.store(now_ms, Ordering::Relaxed);
        *self.life.unstored() = Some(KeyUse {
            at: now,
            address,
            client: client.chars().take(CLIENT_LENGTH).collect(),
        });
    }
}

impl KeyState {
    /// The last use that the store does not know of yet.
    pub(super) fn unstored(&self) -> MutexGuard<'_, Option<KeyUse>> {
        self.unstored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended.is_cancelled()
    }
}
