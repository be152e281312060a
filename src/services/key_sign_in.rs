//! Sign-in with an access key: by signing a challenge, or with the secret.

use std::sync::Arc;
use std::time::Duration;

use base16ct::lower;
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::Sha256;

use super::challenges::{self, Challenges};
use super::sessions::SignInCredential;
use super::{
    AccessKeyAuthError, AccessKeyVerifier, AccessKeys, ActiveKey, Audit, Event, Kind, Origin, ReplayError,
    ReplayGuard, SharedServices, SignIn, SignInError, SignedIn,
};
use crate::model::{Account, AuditDetail, DetailKey, SecretKey, TokenDigest};
use crate::secret::Secret;
use crate::store::{SessionsToEnd, StoreError};

/// The proof of having an access key's secret.
#[derive(Debug)]
pub enum KeyCredential {
    /// A signature of a challenge (HMAC-SHA256).
    Signature {
        /// The challenge.
        challenge: String,
        /// Lower-case hexadecimal.
        signature: String,
        /// The host that was signed for, with and without its port: the signature is void for any other.
        hosts: [String; 2],
    },
    /// The secret itself.
    Secret(Secret<String>),
}

/// Why a sign-in with an access key was refused.
#[derive(Debug, thiserror::Error)]
pub enum KeySignInError {
    /// The challenge is expired or malformed.
    #[error("the challenge is older than two minutes, or none")]
    Stale,
    /// The challenge was used before.
    #[error("the challenge was answered before")]
    Answered,
    /// The key's scope is limited, so that it cannot sign in.
    #[error("the access key is for some routes or methods only")]
    Limited,
    /// A reason that sign-in with a password shares.
    #[error(transparent)]
    Refused(#[from] SignInError),
}

impl From<AccessKeyAuthError> for KeySignInError {
    fn from(refusal: AccessKeyAuthError) -> Self {
        Self::Refused(match refusal {
            AccessKeyAuthError::Invalid => SignInError::InvalidCredentials,
            AccessKeyAuthError::Locked(wait) => SignInError::Locked(wait),
            AccessKeyAuthError::RateLimited(wait) => SignInError::RateLimited(wait),
            AccessKeyAuthError::Store(error) => SignInError::Store(error),
        })
    }
}

impl From<StoreError> for KeySignInError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

/// Signs in with access keys.
#[derive(Debug)]
pub struct KeySignIn {
    keys: Arc<AccessKeys>,
    proof: Arc<AccessKeyVerifier>,
    sign_in: Arc<SignIn>,
    replay_guard: Arc<ReplayGuard>,
    challenges: Challenges,
    audit: Arc<Audit>,
}

impl KeySignIn {
    pub(super) fn new(
        shared: &SharedServices,
        proof: &Arc<AccessKeyVerifier>,
        sign_in: &Arc<SignIn>,
        replay_guard: &Arc<ReplayGuard>,
    ) -> Self {
        let keys = shared.access_keys.clone();
        Self {
            challenges: Challenges::new(&keys, shared.clock.clone(), shared.random.clone()),
            audit: shared.audit.clone(),
            keys,
            proof: proof.clone(),
            sign_in: sign_in.clone(),
            replay_guard: replay_guard.clone(),
        }
    }

    /// Issues a challenge, with its lifetime.
    pub fn challenge(&self) -> (String, Duration) {
        (self.challenges.issue(), challenges::LASTS)
    }

    /// Signs in. Failures are counted for the key (S9). `agrees` accepts the current terms, which is required
    /// if the account accepted others before; the challenge is used up then, and the next attempt takes a new
    /// one.
    pub async fn with_key(
        &self,
        access_key: &str,
        answer: &KeyCredential,
        agrees: bool,
        origin: &Origin,
        replaces: Option<TokenDigest>,
    ) -> Result<SignedIn, KeySignInError> {
        let result = self
            .try_with_key(access_key, answer, agrees, origin, replaces)
            .await;
        let counter = match &result {
            Ok(_) => self.sign_in.counter(None),
            Err(KeySignInError::Refused(error)) => self.sign_in.counter(Some(error)),
            Err(_) => self.sign_in.counter(Some(&SignInError::InvalidCredentials)),
        };
        counter.increment();
        result
    }

    async fn try_with_key(
        &self,
        access_key: &str,
        answer: &KeyCredential,
        agrees: bool,
        origin: &Origin,
        replaces: Option<TokenDigest>,
    ) -> Result<SignedIn, KeySignInError> {
        let challenge = match answer {
            KeyCredential::Secret(_) => None,
            KeyCredential::Signature { challenge, .. } => {
                Some(self.challenges.read(challenge).ok_or(KeySignInError::Stale)?)
            }
        };
        let is_right = |secret: &SecretKey| answer.is_right(access_key, secret);
        let judged = self
            .proof
            .verify_outcome(access_key.as_bytes(), Kind::SignIn, origin, is_right);
        let key = judged.await?;
        if let Some(challenge) = challenge {
            let spent = self.replay_guard.claim(challenge.digest, challenge.until).await;
            spent.map_err(|error| match error {
                ReplayError::SpentBefore => self.record_failure(&key, origin, KeySignInError::Answered),
                ReplayError::Full => SignInError::Busy.into(),
                ReplayError::Store(error) => error.into(),
            })?;
        }
        if key.is_limited() {
            return Err(self.record_failure(&key, origin, KeySignInError::Limited));
        }
        let account = match self.admit(&key, agrees, origin).await {
            Ok(account) => account,
            Err(error) => return Err(self.record_failure(&key, origin, error.into())),
        };
        self.begin(&key, account, origin, replaces).await
    }

    /// Returns the account of a key if it may sign in and has accepted the terms.
    async fn admit(&self, key: &ActiveKey, agrees: bool, origin: &Origin) -> Result<Account, SignInError> {
        let account = self.sign_in.account(key.principal().account).await?;
        self.sign_in.agree(account, agrees, origin).await
    }

    async fn begin(
        &self,
        key: &ActiveKey,
        account: Account,
        origin: &Origin,
        replaces: Option<TokenDigest>,
    ) -> Result<SignedIn, KeySignInError> {
        let begun = self
            .sign_in
            .begin(&account, SignInCredential::AccessKey(key), origin, replaces)
            .await;
        let (account, token, session) = match begun {
            // The key was revoked or disabled meanwhile.
            Err(_) if key.has_ended() => return Err(SignInError::InvalidCredentials.into()),
            begun => begun?,
        };
        let end = SessionsToEnd::Token(session.digest());
        // A revocation of the key meanwhile covers this session.
        if key.has_ended() {
            self.sign_in.end(end).await?;
            return Err(SignInError::InvalidCredentials.into());
        }
        let detail = AuditDetail::of(DetailKey::Session, &session.id()).and(DetailKey::AccessKey, &key.id());
        let event = Event::about(Kind::SignIn, &account).detail(detail);
        if self.audit.record(origin, &event).await.is_err() {
            self.sign_in.end(end).await?;
            return Err(SignInError::Unrecorded.into());
        }
        self.keys.used(key, origin.address, &origin.user_agent);
        Ok(SignedIn {
            account,
            token,
            session,
        })
    }

    fn record_failure(&self, key: &ActiveKey, origin: &Origin, error: KeySignInError) -> KeySignInError {
        let reason = match &error {
            KeySignInError::Stale => "signature-invalid",
            KeySignInError::Answered => "replayed",
            KeySignInError::Limited => "forbidden",
            KeySignInError::Refused(error) => error.reason(),
        };
        let event = Event::failure(Kind::SignIn, key.id().as_str(), reason).account(key.principal().account);
        self.audit.note(origin, &event);
        error
    }
}

impl KeyCredential {
    fn is_right(&self, access_key: &str, secret: &SecretKey) -> bool {
        match self {
            Self::Secret(given) => secret.matches(given.expose().as_bytes()),
            Self::Signature {
                challenge,
                signature,
                hosts,
            } => {
                let mut given = [0; 32];
                let is_one = signature.len() == 64 && lower::decode(signature, &mut given).is_ok();
                let right = hosts
                    .each_ref()
                    .map(|host| signs(secret, access_key, challenge, host, &given));
                is_one && right.contains(&true)
            }
        }
    }
}

fn signs(secret: &SecretKey, access_key: &str, challenge: &str, host: &str, given: &[u8; 32]) -> bool {
    Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).is_ok_and(|mac| {
        let text = format!("vestibule-login\n{access_key}\n{challenge}\n{host}");
        mac.chain_update(text).verify_slice(given).is_ok()
    })
}

#[cfg(test)]
mod tests;
