//! Verifies the secret of an access key, for `Basic AK:SK` and the sign-in page.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::ip_rate_limiter::{Cost, IpRateLimiter};
use super::lockout::{AttemptResult, Lockout};
use super::{AccessKeys, ActiveKey, Audit, Event, Kind, Origin, SharedServices};
use crate::metrics::Metrics;
use crate::model::{AccessKeyId, LockoutPolicy, LockoutSubject, SecretKey};
use crate::store::{Store, StoreError};

/// Why an access key was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AccessKeyAuthError {
    /// The key is unknown or its proof is wrong; the two are not told apart.
    #[error("unknown access key or wrong secret")]
    Invalid,
    /// The key is locked: too many failures. Holds the time left.
    #[error("locked for {0:?}")]
    Locked(Duration),
    /// Too many failures from this address. Holds the time to wait.
    #[error("too many failures from one address")]
    RateLimited(Duration),
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies access keys. Failures are counted for each key id, whether or not the key exists (S9).
#[derive(Debug)]
pub struct AccessKeyVerifier {
    keys: Arc<AccessKeys>,
    store: Arc<dyn Store>,
    lockout: Lockout,
    addresses: Arc<IpRateLimiter>,
    audit: Arc<Audit>,
    metrics: Arc<Metrics>,
}

impl AccessKeyVerifier {
    pub(super) fn new(shared: &SharedServices, policy: LockoutPolicy) -> Self {
        Self {
            keys: shared.access_keys.clone(),
            store: shared.store.clone(),
            lockout: Lockout::new(shared.store.clone(), shared.gates.clone(), policy),
            addresses: shared.addresses.clone(),
            audit: shared.audit.clone(),
            metrics: shared.metrics.clone(),
        }
    }

    /// Returns the key if `secret` is its secret.
    pub async fn by_secret(
        &self,
        id: &[u8],
        secret: &[u8],
        origin: &Origin,
    ) -> Result<Arc<ActiveKey>, AccessKeyAuthError> {
        self.verify_outcome(id, Kind::SignedRequest, origin, |key| key.matches(secret))
            .await
    }

    /// Audits the refusal of a request that claims to be signed with this key. No failure is counted: a
    /// signature is not guessed, and locking a key must not stop the requests that are signed with it (S12).
    /// The event is attributed to the owner's account, but is not one of its recent sign-ins, which a program
    /// with a wrong clock would push out.
    pub fn note_refused(&self, id: &str, origin: &Origin, reason: &'static str, detail: String) {
        let who: String = id.chars().take(AccessKeyId::LENGTH).collect();
        let owner = AccessKeyId::parse(id.as_bytes()).ok();
        let owner = owner.and_then(|id| self.keys.owner(&id));
        let event = Event::failure(Kind::SignedRequest, who, reason).account(owner);
        let event = event.detail(detail);
        self.audit.note(origin, &event);
    }

    /// Returns the key if `is_right` accepts its secret. For an unknown key, `is_right` runs on a dummy
    /// secret and its result is ignored, so that both cases take as long. A refusal is audited as an event of
    /// `kind`.
    pub(super) async fn verify_outcome(
        &self,
        id: &[u8],
        kind: Kind,
        origin: &Origin,
        is_right: impl FnOnce(&SecretKey) -> bool,
    ) -> Result<Arc<ActiveKey>, AccessKeyAuthError> {
        let who = String::from_utf8_lossy(&id[..id.len().min(AccessKeyId::LENGTH)]);
        let parsed = AccessKeyId::parse(id);
        let owner = parsed.as_ref().ok().and_then(|id| self.keys.owner(id));
        let refused = Event::success(kind, who).account(owner);
        if let Err(wait) = self.addresses.check(origin.address) {
            return Err(self.refuse(refused, origin, AccessKeyAuthError::RateLimited(wait)));
        }
        let Ok(id) = parsed else {
            return Err(self.refuse(refused, origin, AccessKeyAuthError::Invalid));
        };
        let key = self.keys.find(&id);
        let holds = is_right(key.as_ref().map_or(self.keys.dummy_secret(), |key| key.secret()));
        let proven = key.filter(|_| holds);
        // A right proof is no guess: it is not counted, however many requests bring one at once.
        let undecided = proven.is_none().then(|| self.addresses.begin(origin.address));
        if let Some(Err(wait)) = undecided {
            return Err(self.refuse(refused, origin, AccessKeyAuthError::RateLimited(wait)));
        }
        let subject = LockoutSubject::AccessKey(id);
        match self.lockout.evaluate(subject, proven.is_some()).await? {
            AttemptResult::Passed => {}
            AttemptResult::Failed { locks } => {
                if locks {
                    self.metrics.locks.increment();
                    let lock = Event::success(Kind::Lock, id.as_str()).account(owner);
                    self.audit.note(origin, &lock);
                }
                self.keys.may_have_failures(&id);
            }
            AttemptResult::Locked(wait) => {
                return Err(self.refuse(refused, origin, AccessKeyAuthError::Locked(wait)));
            }
        }
        let Some(key) = proven else {
            return Err(self.refuse(refused, origin, AccessKeyAuthError::Invalid));
        };
        if key.life().may_have_failures.swap(false, Ordering::Relaxed) {
            self.store.clear_attempts(subject).await?;
        }
        Ok(key)
    }

    /// Audits a refusal. Only a wrong proof counts against the address.
    fn refuse(&self, event: Event, origin: &Origin, refusal: AccessKeyAuthError) -> AccessKeyAuthError {
        let reason = match &refusal {
            AccessKeyAuthError::Invalid => {
                self.addresses.failed(origin.address, Cost::Lookup);
                "invalid-credentials"
            }
            AccessKeyAuthError::Locked(_) => "locked",
            AccessKeyAuthError::RateLimited(_) => "rate-limited",
            AccessKeyAuthError::Store(_) => "unavailable",
        };
        self.audit.note(origin, &event.failed_because(reason));
        refusal
    }
}

#[cfg(test)]
mod tests;
