//! Events, as those say them who bring them about.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::ids::AccountId;
use crate::model::{Account, AuditDetail, AuditEvent, AuditKind as Kind, AuditOutcome, DetailKey};
use crate::request::RequestId;
use crate::services::Actor;

const USER_AGENT_LENGTH: usize = 256;

/// Where an event came from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The client's address; none for a command.
    pub address: Option<IpAddr>,
    /// The request; none for a command.
    pub request: Option<RequestId>,
    /// What the browser called itself; what goes beyond 256 characters is not recorded.
    pub user_agent: String,
    /// The language in which they read (BCP 47), if that is known.
    pub language: Option<String>,
}

impl Origin {
    /// That of a request.
    pub fn of_request(request: RequestId, address: IpAddr, user_agent: &str, language: Option<&str>) -> Self {
        Self {
            address: Some(address),
            request: Some(request),
            user_agent: shortened(user_agent).to_owned(),
            language: language.map(str::to_owned),
        }
    }

    /// What the browser called itself, at most 256 characters.
    pub fn short_user_agent(&self) -> &str {
        shortened(&self.user_agent)
    }
}

fn shortened(user_agent: &str) -> &str {
    let end = user_agent.char_indices().nth(USER_AGENT_LENGTH);
    end.map_or(user_agent, |(end, _)| &user_agent[..end])
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOutcome {
    /// As it was meant to.
    Success,
    /// Refused, for the reason with this slug.
    Failure(&'static str),
}

/// An event to record.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// How it ended.
    pub outcome: EventOutcome,
    /// Whom it is about: an address, or a name that was typed.
    pub who: String,
    /// The account that it is about, where there is one.
    pub account: Option<AccountId>,
    /// Who did it, where that is somebody else, and why.
    pub by: Option<Actor>,
    /// What else an auditor needs to know; never a secret.
    pub detail: Option<String>,
}

impl Event {
    /// Something that went as it was meant to.
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

    /// The same about an account.
    pub fn about(kind: Kind, account: &Account) -> Self {
        Self::success(kind, account.email.as_str()).account(account.id)
    }

    /// The configuration was read again, and these of its keys are others now.
    pub fn reload(changed: &[String]) -> Self {
        let event = Self::success(Kind::Reload, "");
        if changed.is_empty() {
            return event;
        }
        event.detail(AuditDetail::of(DetailKey::Changed, &changed.join(",")))
    }

    /// Something that was refused.
    pub fn failure(kind: Kind, who: impl Into<String>, reason: &'static str) -> Self {
        Self::success(kind, who).failed_because(reason)
    }

    /// The same, but it was refused.
    #[must_use]
    pub fn failed_because(self, reason: &'static str) -> Self {
        Self {
            outcome: EventOutcome::Failure(reason),
            ..self
        }
    }

    /// The same, about this account if there is one.
    #[must_use]
    pub fn account(self, account: impl Into<Option<AccountId>>) -> Self {
        Self {
            account: account.into(),
            ..self
        }
    }

    /// The same, done by this actor; the account's owner goes without saying.
    #[must_use]
    pub fn by(self, by: &Actor) -> Self {
        Self {
            by: Some(by.clone()),
            ..self
        }
    }

    /// The same, with what else an auditor needs to know.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }

    /// As it is recorded.
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
