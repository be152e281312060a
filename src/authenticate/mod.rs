//! Who a request comes from.
//!
//! Schemes are asked in a fixed order. Absent, wrong and broken never look alike: a scheme that was not used lets the
//! next one try, one that was used wrongly ends the matter, and one that cannot tell fails closed.

mod presented;
mod refused;
mod sender;
mod session;
pub mod signature;
mod signed;
mod withheld;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::uri::PathAndQuery;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::LoginConfig;
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
use crate::request::RequestHead;
use crate::services::{LiveKey, LiveSession, Services};
use crate::store::StoreError;
use session::SessionScheme;
use signed::SignedScheme;

pub use signed::{Pending, Signed};

/// How often what lasts longer than a request looks whether its credentials have lapsed: S28 gives it 5 s.
pub const LOOKS_EVERY: Duration = Duration::from_secs(2);

/// What a scheme makes of a request.
#[derive(Debug)]
pub enum Attempt<'h> {
    /// The request does not use this scheme: the next one is asked.
    NotPresented,
    /// It does, and proves who it comes from; with what is known of its signature, if it has one.
    Verified(Credentials, Option<Box<Signed>>),
    /// It carries a cookie that signs nobody in and is to be removed (S27).
    SignedOut,
    /// It does, and whether it proves anything is known only once the body was read.
    Undecided(Pending<'h>),
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
    Session(Arc<LiveSession>),
    /// An access key.
    Key(Arc<LiveKey>),
    /// An access key, by a URL that was signed with it: whoever has the URL may send it.
    PresignedUrl(Arc<LiveKey>),
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
pub struct Identified {
    /// Who, if anybody.
    pub credentials: Option<Credentials>,
    /// What is known of the signature, if that proves it.
    pub signed: Option<Box<Signed>>,
    /// The answer removes the session's cookie.
    pub clears_cookie: bool,
}

/// What all schemes together say once they have seen the head.
#[derive(Debug)]
pub enum Finding<'h> {
    /// All there is to say.
    Known(Identified),
    /// Nothing before the body was read; see [`Authenticator::decide`].
    NeedsBody(Pending<'h>),
}

/// Whether a request keeps a session alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It does.
    Extends,
    /// It only looks: the gateway's own pages that are for everybody.
    Peeks,
}

/// What is asked for, as far as a scheme depends on it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Terms {
    /// Whether a session is used.
    pub usage: Usage,
    /// Whether access keys prove something here.
    pub takes_keys: bool,
    /// Whether a signature may be in the query.
    pub presigned: bool,
    /// Whether a signature may leave the body out.
    pub unsigned_payload: bool,
    /// Whether there is a body.
    pub has_body: bool,
}

/// The schemes, in their order: whatever an access key proves, then the cookie of a session. Whoever signs a request
/// means the key; browsers send cookies unasked.
#[derive(Debug)]
pub struct Authenticator {
    /// `login.iam`
    signed: Option<SignedScheme>,
    session: SessionScheme,
}

impl Authenticator {
    /// The schemes over these services.
    pub fn new(config: &LoginConfig, services: &Services, clock: &Clock) -> Self {
        Self {
            signed: config.iam.then(|| SignedScheme::new(services, clock.clone())),
            session: SessionScheme::new(services),
        }
    }

    /// Asks the schemes in their order who a request comes from.
    pub async fn identify<'h>(&self, head: &RequestHead<'h>, terms: Terms) -> Result<Finding<'h>, Refusal> {
        if let Some(signed) = self.signed.as_ref().filter(|_| terms.takes_keys) {
            match signed.attempt(head, terms).await {
                Attempt::NotPresented => {}
                attempt => return attempt.finding(),
            }
        }
        self.session.attempt(head.headers, terms.usage).finding()
    }

    /// Judges a signature, now that the body was read.
    pub fn decide(&self, pending: Pending<'_>, body: &Bytes) -> Result<Identified, Refusal> {
        let attempt = match &self.signed {
            Some(signed) => signed.decide(pending, body),
            None => Attempt::NotPresented,
        };
        match attempt.finding()? {
            Finding::Known(identified) => Ok(identified),
            Finding::NeedsBody(_) => Err(Refusal::because(
                Problem::Unavailable,
                "a signature that the whole body does not decide",
            )),
        }
    }

    /// The target that an application gets instead of the one that was sent, if that carries a proof for the gateway.
    pub fn target(&self, sent: &PathAndQuery, signed: Option<&Signed>) -> Option<PathAndQuery> {
        match signed {
            Some(signed) => signed.target(sent),
            None if self.signed.is_some() => withheld::unsigned_target(sent),
            None => None,
        }
    }

    /// Removes what is for the gateway alone from the headers that an application gets.
    pub fn withhold(&self, headers: &mut HeaderMap, signed: Option<&Signed>) {
        if let Some(signed) = signed {
            signed.withhold(headers);
        }
        if self.signed.is_some() {
            withheld::withhold_secrets(headers);
        }
    }
}

impl<'h> Attempt<'h> {
    fn finding(self) -> Result<Finding<'h>, Refusal> {
        let identified = match self {
            Self::NotPresented => Identified::default(),
            Self::Verified(credentials, signed) => Identified {
                credentials: Some(credentials),
                signed,
                clears_cookie: false,
            },
            Self::SignedOut => Identified {
                clears_cookie: true,
                ..Identified::default()
            },
            Self::Undecided(pending) => return Ok(Finding::NeedsBody(pending)),
            Self::Rejected(refusal) => return Err(refusal),
            Self::Unavailable(error) => {
                return Err(Refusal::because(Problem::Unavailable, error.to_string()));
            }
        };
        Ok(Finding::Known(identified))
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
    pub fn key(&self) -> Option<&Arc<LiveKey>> {
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
    pub fn session(&self) -> Option<&Arc<LiveSession>> {
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
