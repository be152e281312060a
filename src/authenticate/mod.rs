//! Who a request comes from.
//!
//! Schemes are asked in a fixed order. Absent, wrong and broken never look alike: a scheme that was not used lets the
//! next one try, one that was used wrongly ends the matter, and one that cannot tell fails closed.

mod access_key_scheme;
mod credentials;
mod request_origin;
mod session;
pub mod signature;
mod strip_credentials;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::uri::PathAndQuery;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::LoginConfig;
use crate::model::Principal;
use crate::refusal::{Hint, Problem, Refusal};
use crate::request::RequestHead;
use crate::services::{AccessKeyAuthError, ActiveKey, ActiveSession, Services};
use crate::store::StoreError;
use access_key_scheme::AccessKeyScheme;
use session::SessionScheme;
use signature::SignatureError;

pub use access_key_scheme::{PendingVerification, SignedRequest};

/// How often what lasts longer than a request looks whether its credentials have lapsed: S28 gives it 5 s.
pub const LOOKS_EVERY: Duration = Duration::from_secs(2);

/// What a scheme makes of a request.
#[derive(Debug)]
pub enum SchemeResult<'h> {
    /// The request does not use this scheme: the next one is asked.
    NotPresented,
    /// It does, and proves who it comes from; with what is known of its signature, if it has one.
    Verified(Credentials, Option<Box<SignedRequest>>),
    /// It carries a cookie that signs nobody in and is to be removed (S27).
    SignedOut,
    /// It does, and whether it proves anything is known only once the body was read.
    Undecided(PendingVerification<'h>),
    /// It uses the scheme wrongly; no other scheme is asked.
    Rejected(Refusal),
    /// Whether it does could not be found out; never taken for anonymous.
    Unavailable(StoreError),
}

/// Proof of who a request comes from.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Who.
    pub principal: Arc<Principal>,
    /// What proves it.
    pub proof: Option<Proof>,
}

/// What proves who a request comes from: what lasts longer than a request ends with it.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A session.
    Session(Arc<ActiveSession>),
    /// An access key.
    Key(Arc<ActiveKey>),
    /// An access key, by a URL that was signed with it: whoever has the URL may send it.
    PresignedUrl(Arc<ActiveKey>),
}

/// Why credentials that admitted a request admit it no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lapse {
    /// What proves them has ended.
    #[error("the session or the access key has ended")]
    Ended,
    /// The application would be told of a membership that is no longer one.
    #[error("the account has left a group")]
    GroupLeft,
}

/// What all schemes together say.
#[derive(Debug, Default)]
pub struct Authenticated {
    /// Who, if anybody.
    pub credentials: Option<Credentials>,
    /// What is known of the signature, if that proves it.
    pub signed: Option<Box<SignedRequest>>,
    /// The answer removes the session's cookie.
    pub clears_cookie: bool,
}

/// What all schemes together say once they have seen the head.
#[derive(Debug)]
pub enum AuthnOutcome<'h> {
    /// All there is to say.
    Known(Authenticated),
    /// Nothing before the body was read; see [`Authenticator::decide`].
    NeedsBody(PendingVerification<'h>),
}

/// Whether a request keeps a session alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionTouch {
    /// It does.
    Refresh,
    /// It only looks: the gateway's own pages that are for everybody.
    ReadOnly,
}

/// What is asked for, as far as a scheme depends on it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct AuthRequirements {
    /// Whether a session is used.
    pub usage: SessionTouch,
    /// Whether access keys prove something here.
    pub takes_keys: bool,
    /// Whether a signature may be in the query.
    pub presigned: bool,
    /// Whether a signature may leave the body out.
    pub unsigned_payload: bool,
    /// Whether there is a body.
    pub has_body: bool,
    /// Whether memory is believed though the store may know better: for what shuts somebody out.
    pub by_memory: bool,
}

/// The schemes, in their order: whatever an access key proves, then the cookie of a session. Whoever signs a request
/// means the key; browsers send cookies unasked.
#[derive(Debug)]
pub struct Authenticator {
    /// `login.iam`
    signed: Option<AccessKeyScheme>,
    session: SessionScheme,
}

impl Authenticator {
    /// The schemes over these services.
    pub fn new(config: &LoginConfig, services: &Services, clock: &Clock) -> Self {
        Self {
            signed: config.iam.then(|| AccessKeyScheme::new(services, clock.clone())),
            session: SessionScheme::new(services),
        }
    }

    /// Asks the schemes in their order who a request comes from.
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

    /// Judges a signature, now that the body was read.
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

    /// The target that an application gets instead of the one that was sent, if that carries a proof for the gateway.
    pub fn target(&self, sent: &PathAndQuery, signed: Option<&SignedRequest>) -> Option<PathAndQuery> {
        match signed {
            Some(signed) => signed.target(sent),
            None if self.signed.is_some() => strip_credentials::unsigned_target(sent),
            None => None,
        }
    }

    /// Removes what is for the gateway alone from the headers that an application gets.
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
    /// Compares them with what holds now: a request may wait, and its body may take minutes, after its head was judged
    /// (S76).
    pub fn require_current(&self) -> Result<(), Lapse> {
        let Some(proof) = &self.proof else { return Ok(()) };
        if proof.has_ended() {
            return Err(Lapse::Ended);
        }
        let current = proof.principal();
        if Arc::ptr_eq(&current, &self.principal) || self.principal.groups.is_subset(&current.groups) {
            Ok(())
        } else {
            Err(Lapse::GroupLeft)
        }
    }

    /// Ready once they have lapsed: at once where what proves them ends, within [`LOOKS_EVERY`] where a group was left.
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
    /// The access key, if it is one.
    pub fn key(&self) -> Option<&Arc<ActiveKey>> {
        match self {
            Self::Session(_) => None,
            Self::Key(key) | Self::PresignedUrl(key) => Some(key),
        }
    }

    /// On whose behalf it is used, as they are now.
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

    /// The session, if it is one.
    pub fn session(&self) -> Option<&Arc<ActiveSession>> {
        match self {
            Self::Session(session) => Some(session),
            Self::Key(_) | Self::PresignedUrl(_) => None,
        }
    }

    /// Ends with it, whatever ends it.
    pub fn ended(&self) -> CancellationToken {
        match self {
            Self::Session(session) => session.ended(),
            Self::Key(key) | Self::PresignedUrl(key) => key.ended(),
        }
    }
}

impl From<SignatureError> for Refusal {
    /// What helps whoever signs is said. Whether a key exists is not: to be unknown, to be disabled, to be wrong and to
    /// come with another proof are one refusal (S37).
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
            Lapse::GroupLeft => Problem::Forbidden,
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
