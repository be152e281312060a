//! Audit events as the services build them.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::ids::AccountId;
use crate::model::{Account, AuditDetail, AuditEvent, AuditKind as Kind, AuditOutcome, DetailKey};
use crate::request::RequestId;
use crate::services::Actor;

/// How many characters of a `User-Agent` are kept.
pub const USER_AGENT_LENGTH: usize = 256;

/// The origin of an event.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The client's address; `None` for a command.
    pub address: Option<IpAddr>,
    /// The id of the request; `None` for a command.
    pub request: Option<RequestId>,
    /// The `User-Agent`; recorded up to 256 characters.
    pub user_agent: String,
    /// The client's language (BCP 47), if it is known.
    pub language: Option<String>,
}

impl Origin {
    /// The origin of a request.
    pub fn of_request(request: RequestId, address: IpAddr, user_agent: &str, language: Option<&str>) -> Self {
        Self {
            address: Some(address),
            request: Some(request),
            user_agent: shortened(user_agent).to_owned(),
            language: language.map(str::to_owned),
        }
    }

    /// Up to 256 characters of the `User-Agent`.
    pub fn short_user_agent(&self) -> &str {
        shortened(&self.user_agent)
    }
}

fn shortened(user_agent: &str) -> &str {
    let end = user_agent.char_indices().nth(USER_AGENT_LENGTH);
    end.map_or(user_agent, |(end, _)| &user_agent[..end])
}

/// The outcome of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOutcome {
    /// The act was executed.
    Success,
    /// Refused; the reason's slug.
    Failure(&'static str),
}

/// An event to record.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// How it ended.
    pub outcome: EventOutcome,
    /// Whom it is about: an address, or the name that was typed.
    pub who: String,
    /// The account that it is about, if there is one.
    pub account: Option<AccountId>,
    /// The actor, if it is not the account's owner, and their reason.
    pub by: Option<Actor>,
    /// Further facts; never a secret.
    pub detail: Option<String>,
}

impl Event {
    /// Builds the event of an act that succeeded.
    pub fn success(kind: Kind, who: impl Into<String>) -> Self {
        Self {
            kind,
            outcome: EventOutcome::Success,
            who: who.into(),
            account: None,
            by: None,
            detail: None,
        }
    }

    /// Builds a success about an account.
    pub fn about(kind: Kind, account: &Account) -> Self {
        Self::success(kind, account.email.as_str()).account(account.id)
    }

    /// Builds the event of a reload that changed these configuration keys.
    pub fn reload(changed: &[String]) -> Self {
        let event = Self::success(Kind::Reload, "");
        if changed.is_empty() {
            return event;
        }
        event.detail(AuditDetail::of(DetailKey::Changed, &changed.join(",")))
    }

    /// Builds the event of an act that was refused.
    pub fn failure(kind: Kind, who: impl Into<String>, reason: &'static str) -> Self {
        Self::success(kind, who).failed_because(reason)
    }

    /// Sets the outcome to a refusal; `reason` is a slug.
    #[must_use]
    pub fn failed_because(self, reason: &'static str) -> Self {
        Self {
            outcome: EventOutcome::Failure(reason),
            ..self
        }
    }

    /// Sets the account, if there is one.
    #[must_use]
    pub fn account(self, account: impl Into<Option<AccountId>>) -> Self {
        Self {
            account: account.into(),
            ..self
        }
    }

    /// Sets the actor; an account's owner has no name in the audit log.
    #[must_use]
    pub fn by(self, by: &Actor) -> Self {
        Self {
            by: Some(by.clone()),
            ..self
        }
    }

    /// Sets further facts.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }

    /// Returns the event as it is recorded.
    pub(super) fn recorded(&self, time: Timestamp, origin: &Origin) -> AuditEvent {
        let (outcome, reason) = match self.outcome {
            EventOutcome::Success => (AuditOutcome::Success, None),
            EventOutcome::Failure(reason) => (AuditOutcome::Failure, Some(reason.to_owned())),
        };
        AuditEvent {
            time,
            event: self.kind,
            outcome,
            reason,
            who: self.who.clone(),
            account: self.account,
            by: self.by.as_ref().and_then(Actor::name).map(str::to_owned),
            why: self.by.as_ref().and_then(Actor::reason).map(str::to_owned),
            address: origin.address,
            request_id: origin.request.map(|id| id.to_string()),
            user_agent: origin.short_user_agent().to_owned(),
            detail: self.detail.clone(),
        }
    }
}
