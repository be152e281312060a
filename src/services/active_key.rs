//! An active access key in memory, and the state that its replacements share.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::dual_time::DualTime;
use super::{DerivedKeyCache, USER_AGENT_LENGTH};
use crate::model::{AccessKey, AccessKeyId, Account, KeyScope, KeyUse, Principal, SecretKey, SignInMethod};

/// The least time between two noted uses, in milliseconds: concurrent requests with one key share an
/// unchanged cache line.
const NOTED_EVERY_MS: i64 = 1000;

/// An access key that is enabled and whose owner's account is active.
///
/// Immutable: a change of the account or of the key makes another `ActiveKey` that shares the `KeyState`,
/// so that ending the key ends all of them.
#[derive(Debug)]
pub struct ActiveKey {
    id: AccessKeyId,
    secret: SecretKey,
    scope: KeyScope,
    principal: Arc<Principal>,
    derived: DerivedKeyCache,
    life: Arc<KeyState>,
}

/// The state of a key that outlives replacements of its [`ActiveKey`].
#[derive(Debug)]
pub(super) struct KeyState {
    expires: Option<DualTime>,
    /// The owner as of the newest `ActiveKey`.
    owner: ArcSwapOption<Principal>,
    noted_ms: AtomicI64,
    /// The last use, unless it is stored.
    unstored: Mutex<Option<KeyUse>>,
    /// Whether the store may hold failed attempts for it; unknown, so true, after a start.
    pub(super) may_have_failures: AtomicBool,
    ended: CancellationToken,
}

impl KeyState {
    /// Creates the state of a key that expires at `expires`; `None`: never.
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

    /// Creates the state of an ended key that is active again.
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

    /// Its public id.
    pub fn id(&self) -> AccessKeyId {
        self.id
    }

    /// Its secret.
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// The signing keys derived from its secret.
    pub fn derived(&self) -> &DerivedKeyCache {
        &self.derived
    }

    /// Its owner as of the creation of this value.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Its owner as they are now, even if another `ActiveKey` has replaced this one.
    pub fn current_principal(&self) -> Arc<Principal> {
        let current = self.life.owner.load_full();
        current.unwrap_or_else(|| self.principal.clone())
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.life.is_ended()
    }

    /// Returns whether its scope covers a request with this method on the route of this label.
    pub fn may_use(&self, route: &str, method: &str) -> bool {
        self.scope.covers(route, method)
    }

    /// Returns whether its scope names methods.
    pub fn limits_methods(&self) -> bool {
        !self.scope.methods.is_empty()
    }

    /// Returns whether its scope is limited: such a key signs in no browser.
    pub fn is_limited(&self) -> bool {
        self.scope.is_limited()
    }

    /// Cancelled when the key ends for any reason, expiry included; streams and upgraded connections wait for
    /// it.
    pub fn ended(&self) -> CancellationToken {
        self.life.ended.clone()
    }

    pub(super) fn life(&self) -> &Arc<KeyState> {
        &self.life
    }

    /// When it expires; `None`: never.
    pub(super) fn expires(&self) -> Option<DualTime> {
        self.life.expires
    }

    /// Returns whether it has expired by either clock: setting the wall clock back does not extend a key.
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
            client: client.chars().take(USER_AGENT_LENGTH).collect(),
        });
    }
}

impl KeyState {
    /// The last use, unless it is stored.
    pub(super) fn unstored(&self) -> MutexGuard<'_, Option<KeyUse>> {
        self.unstored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended.is_cancelled()
    }
}
