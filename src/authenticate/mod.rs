//! The authentication stage: determines the principal of a request.
//!
//! Schemes are tried in a fixed order, and fail closed: credentials that are absent lead to the next scheme,
//! invalid ones to a refusal, and ones that cannot be verified to a refusal too, never to an anonymous
//! request.

mod access_key_scheme;
mod credentials;
mod request_origin;
mod session;
pub mod signature;
mod strip_credentials;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::uri::PathAndQuery;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{LoginConfig, Policy};
use crate::model::Principal;
use crate::refusal::{Hint, Problem, Refusal};
use crate::request::{ClientAddress, RequestHead};
use crate::services::{AccessKeyAuthError, ActiveKey, ActiveSession, Services};
use crate::store::StoreError;
use access_key_scheme::AccessKeyScheme;
use session::SessionScheme;
use signature::SignatureError;

pub use access_key_scheme::{PendingVerification, SignedRequest};

/// How often longer-lasting operations check whether their credentials have lapsed; S28 allows 5 s.
pub const LOOKS_EVERY: Duration = Duration::from_secs(2);

/// The result of one scheme.
#[derive(Debug)]
pub enum SchemeResult<'h> {
    /// The request has no credentials for this scheme; the next one is tried.
    NotPresented,
    /// Valid credentials, with the details of their signature, if any.
    Verified(Credentials, Option<Box<SignedRequest>>),
    /// An invalid cookie that is to be deleted; the request is anonymous (S27).
    SignedOut,
    /// The credentials can only be verified with the body.
    Undecided(PendingVerification<'h>),
    /// Invalid credentials; no other scheme is tried.
    Rejected(Refusal),
    /// The credentials could not be verified; never treated as anonymous.
    Unavailable(StoreError),
}

/// A principal and the proof of it.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The principal.
    pub principal: Arc<Principal>,
    /// What proves it; `None` only in explanations.
    pub proof: Option<Proof>,
    /// Policies that let the account in, and may not any more when it changes.
    pub policies: Vec<JudgedPolicy>,
}

/// A policy that depends on the account, and the client for which it was evaluated.
#[derive(Clone, Debug)]
pub struct JudgedPolicy {
    policy: Arc<Policy>,
    client: Option<IpAddr>,
}

impl JudgedPolicy {
    /// Remembers a policy; `None` if no change of the account changes what it comes to.
    pub fn of(policy: &Arc<Policy>, client: &ClientAddress) -> Option<Self> {
        policy.depends_on_account().then(|| Self {
            policy: policy.clone(),
            client: client.known(),
        })
    }

    fn lets_in(&self, principal: &Principal) -> bool {
        self.policy.refusal(Some(principal), self.client).is_none()
    }
}

/// What proves a principal. Longer-lasting operations end with it.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A session.
    Session(Arc<ActiveSession>),
    /// An access key.
    Key(Arc<ActiveKey>),
    /// An access key, by a presigned URL that anyone who has it may send.
    PresignedUrl(Arc<ActiveKey>),
}

/// Why credentials that admitted a request no longer do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lapse {
    /// The session or access key has ended.
    #[error("the session or the access key has ended")]
    Ended,
    /// The upstream was told a group that the account has left.
    #[error("the account has left a group")]
    GroupLeft,
    /// A route's policy no longer lets the account in.
    #[error("the route's policy no longer lets the account in")]
    PolicyUnmet,
}

/// The result of all schemes.
#[derive(Debug, Default)]
pub struct Authenticated {
    /// The credentials; `None` for an anonymous request.
    pub credentials: Option<Credentials>,
    /// The details of the signature, if that is the proof.
    pub signed: Option<Box<SignedRequest>>,
    /// Whether the response deletes the session cookie.
    pub clears_cookie: bool,
}

/// The result of all schemes once they have seen the head.
#[derive(Debug)]
pub enum AuthnOutcome<'h> {
    /// The final result.
    Known(Authenticated),
    /// The body is needed first; see [`Authenticator::decide`].
    NeedsBody(PendingVerification<'h>),
}

/// Whether a request extends its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionTouch {
    /// It does.
    Refresh,
    /// It does not, as on the gateway's own pages for everybody.
    ReadOnly,
}

/// What a target accepts, and what else the schemes depend on.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct AuthRequirements {
    /// Whether the session is extended.
    pub usage: SessionTouch,
    /// Whether access keys are accepted.
    pub takes_keys: bool,
    /// Whether presigned URLs are accepted.
    pub presigned: bool,
    /// Whether a signature may leave the body unsigned.
    pub unsigned_payload: bool,
    /// Whether the request has a body.
    pub has_body: bool,
    /// Whether sessions in memory count though the store is unavailable: for requests that revoke access.
    pub by_memory: bool,
}

/// The schemes in their order: access keys, then the session cookie. A client that signs means the key, while
/// browsers send cookies on their own.
#[derive(Debug)]
pub struct Authenticator {
    /// `login.iam`
    signed: Option<AccessKeyScheme>,
    session: SessionScheme,
}

impl Authenticator {
    /// Creates the schemes over these services.
    pub fn new(config: &LoginConfig, services: &Services, clock: &Clock) -> Self {
        Self {
            signed: config.iam.then(|| AccessKeyScheme::new(services, clock.clone())),
            session: SessionScheme::new(services),
        }
    }

    /// Tries the schemes in order, and returns the principal.
    pub async fn identify<'h>(
        &self,
        head: &RequestHead<'h>,
        requirements: AuthRequirements,
    ) -> Result<AuthnOutcome<'h>, Refusal> {
        if let Some(signed) = self.signed.as_ref().filter(|_| requirements.takes_keys) {
            match signed.attempt(head, requirements).await {
                SchemeResult::NotPresented => {}
                attempt => return attempt.finding(),
            }
        }
        self.session.attempt(head.headers, requirements).finding()
    }

    /// Completes a verification with the body.
    pub fn decide(&self, pending: PendingVerification<'_>, body: &Bytes) -> Result<Authenticated, Refusal> {
        let attempt = match &self.signed {
            Some(signed) => signed.decide(pending, body),
            None => SchemeResult::NotPresented,
        };
        match attempt.finding()? {
            AuthnOutcome::Known(identified) => Ok(identified),
            AuthnOutcome::NeedsBody(_) => Err(Refusal::because(
                Problem::Unavailable,
                "a signature that the whole body does not decide",
            )),
        }
    }

    /// Returns the target for the upstream if the one sent carries a signature for the gateway; `None`
    /// otherwise.
    pub fn target(&self, sent: &PathAndQuery, signed: Option<&SignedRequest>) -> Option<PathAndQuery> {
        match signed {
            Some(signed) => signed.target(sent),
            None if self.signed.is_some() => strip_credentials::unsigned_target(sent),
            None => None,
        }
    }

    /// Removes credentials for the gateway from the headers for the upstream.
    pub fn strip_credentials(&self, headers: &mut HeaderMap, signed: Option<&SignedRequest>) {
        if let Some(signed) = signed {
            signed.strip_from(headers);
        }
        if self.signed.is_some() {
            strip_credentials::withhold_secrets(headers);
        }
    }
}

impl<'h> SchemeResult<'h> {
    fn finding(self) -> Result<AuthnOutcome<'h>, Refusal> {
        let identified = match self {
            Self::NotPresented => Authenticated::default(),
            Self::Verified(credentials, signed) => Authenticated {
                credentials: Some(credentials),
                signed,
                clears_cookie: false,
            },
            Self::SignedOut => Authenticated {
                clears_cookie: true,
                ..Authenticated::default()
            },
            Self::Undecided(pending) => return Ok(AuthnOutcome::NeedsBody(pending)),
            Self::Rejected(refusal) => return Err(refusal),
            Self::Unavailable(error) => {
                return Err(Refusal::because(Problem::Unavailable, error.to_string()));
            }
        };
        Ok(AuthnOutcome::Known(identified))
    }
}

impl Credentials {
    /// Compares the credentials with the current state: a request may wait, and its body may take minutes
    /// (S76).
    pub fn require_current(&self) -> Result<(), Lapse> {
        let Some(proof) = &self.proof else { return Ok(()) };
        if proof.has_ended() {
            return Err(Lapse::Ended);
        }
        let current = proof.principal();
        if Arc::ptr_eq(&current, &self.principal) {
            Ok(())
        } else if !self.principal.groups.is_subset(&current.groups) {
            Err(Lapse::GroupLeft)
        } else if self.policies.iter().all(|policy| policy.lets_in(&current)) {
            Ok(())
        } else {
            Err(Lapse::PolicyUnmet)
        }
    }

    /// Completes once the credentials have lapsed: at once if their proof ends, within [`LOOKS_EVERY`] if the account has
    /// changed.
    pub async fn lapsed(&self) {
        let Some(proof) = &self.proof else {
            return std::future::pending().await;
        };
        let ended = proof.ended();
        while self.require_current().is_ok() {
            let _ = tokio::time::timeout(LOOKS_EVERY, ended.cancelled()).await;
        }
    }
}

impl Proof {
    /// Returns the access key, unless it is a session.
    pub fn key(&self) -> Option<&Arc<ActiveKey>> {
        match self {
            Self::Session(_) => None,
            Self::Key(key) | Self::PresignedUrl(key) => Some(key),
        }
    }

    /// Returns the principal in its current state.
    fn principal(&self) -> Arc<Principal> {
        match self {
            Self::Session(session) => session.principal(),
            Self::Key(key) | Self::PresignedUrl(key) => key.current_principal(),
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Session(session) => session.has_ended(),
            Self::Key(key) | Self::PresignedUrl(key) => key.has_ended(),
        }
    }

    /// Returns the session, if it is one.
    pub fn session(&self) -> Option<&Arc<ActiveSession>> {
        match self {
            Self::Session(session) => Some(session),
            Self::Key(_) | Self::PresignedUrl(_) => None,
        }
    }

    /// Returns a token that is cancelled when it ends.
    pub fn ended(&self) -> CancellationToken {
        match self {
            Self::Session(session) => session.ended(),
            Self::Key(key) | Self::PresignedUrl(key) => key.ended(),
        }
    }
}

impl From<SignatureError> for Refusal {
    /// Tells the signer what to fix, but never whether the key exists: unknown, disabled and wrong keys and
    /// conflicting proofs give one refusal (S37).
    fn from(error: SignatureError) -> Self {
        let (problem, hint) = match &error {
            SignatureError::Mismatch | SignatureError::Several => (Problem::SignatureInvalid, None),
            SignatureError::Malformed(reason) => (Problem::SignatureInvalid, Some(Hint::Unreadable(reason))),
            SignatureError::NotSigned(part) => {
                (Problem::SignatureInvalid, Some(Hint::NotSigned(part.clone())))
            }
            SignatureError::Missing(part) => (Problem::SignatureInvalid, Some(Hint::Missing(part.clone()))),
            SignatureError::Version2 => (Problem::SignatureInvalid, Some(Hint::SignatureVersion2)),
            SignatureError::Presigned => (Problem::SignatureInvalid, Some(Hint::Presigned)),
            SignatureError::BodyNotSigned => (Problem::SignatureInvalid, Some(Hint::BodyNotSigned)),
            SignatureError::BodyDiffers => (Problem::SignatureInvalid, Some(Hint::BodyDiffers)),
            SignatureError::Clock(age) if *age < 0 => {
                (Problem::ClockSkew, Some(Hint::ClockAhead(age.unsigned_abs())))
            }
            SignatureError::Clock(age) => (Problem::ClockSkew, Some(Hint::ClockBehind(age.unsigned_abs()))),
            SignatureError::Expired(ago) => (Problem::ClockSkew, Some(Hint::Expired(ago.unsigned_abs()))),
        };
        Self {
            hint,
            ..Self::because(problem, error.to_string())
        }
    }
}

impl From<Lapse> for Refusal {
    fn from(lapse: Lapse) -> Self {
        let problem = match lapse {
            Lapse::Ended => Problem::NotAuthenticated,
            Lapse::GroupLeft | Lapse::PolicyUnmet => Problem::Forbidden,
        };
        Self::because(problem, lapse.to_string())
    }
}

impl From<AccessKeyAuthError> for Refusal {
    fn from(refusal: AccessKeyAuthError) -> Self {
        let cause = refusal.to_string();
        match refusal {
            AccessKeyAuthError::Invalid => {
                Self::because(Problem::InvalidCredentials, cause).hinting(Hint::SecretKey)
            }
            AccessKeyAuthError::Locked(wait) => Self::because(Problem::Locked, cause).retry_after(wait),
            AccessKeyAuthError::RateLimited(wait) => {
                Self::because(Problem::RateLimited, cause).retry_after(wait)
            }
            AccessKeyAuthError::Store(_) => Self::because(Problem::Unavailable, cause),
        }
    }
}
