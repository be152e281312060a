//! What is asked of, and answered by, the audit log.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::ids::AccountId;
use crate::model::{AuditCursor, AuditDetail, AuditEvent, AuditKind, AuditOutcome, DetailKey};

/// The record of authentication and administrative events: a part of every [`Store`](super::Store).
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Adds events in this order. If there are then more than `at_most`, the oldest go.
    async fn append_audit(&self, events: Vec<AuditEvent>, at_most: usize) -> Result<(), StoreError>;

    /// Up to `limit` events that the filter lets through, from the one after `after` in this order; the first ones if none.
    ///
    /// What a call may look at is bounded: a page may be short, or empty, and still have a next one.
    async fn read_audit(
        &self,
        filter: AuditFilter,
        order: AuditOrder,
        after: Option<AuditCursor>,
        limit: usize,
    ) -> Result<AuditPage, StoreError>;

    /// Removes the events before this moment. How many there were.
    async fn prune_audit(&self, before: Timestamp) -> Result<usize, StoreError>;
}

/// Which events are wanted: all that all of this is true of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFilter {
    /// About one of these accounts or names, or done by somebody of such a name; all if none is named.
    pub about: Vec<AuditSubject>,
    /// One of these; all if none is named.
    pub kinds: Vec<AuditKind>,
    /// Ended like this.
    pub outcome: Option<AuditOutcome>,
    /// From this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Of this request.
    #[serde(default)]
    pub request: Option<String>,
}

impl AuditFilter {
    /// Of whom the events are that it may let through; of everybody if none is named. A request's are found like those of an
    /// account.
    pub(super) fn subjects(&self) -> Vec<AuditSubject> {
        match &self.request {
            Some(id) if self.about.is_empty() => vec![AuditSubject::Request(id.clone())],
            _ => self.about.clone(),
        }
    }

    /// Whether it lets an event through.
    pub fn passes(&self, event: &AuditEvent) -> bool {
        (self.about.is_empty() || self.about.iter().any(|about| about.is_of(event)))
            && (self.kinds.is_empty() || self.kinds.contains(&event.event))
            && self.outcome.is_none_or(|outcome| outcome == event.outcome)
            && self.from.is_none_or(|from| event.time >= from)
            && self.until.is_none_or(|until| event.time < until)
            && (self.request.is_none() || self.request == event.request_id)
    }
}

/// Whom events are about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditSubject {
    /// An account, whatever it was called then.
    Account(AccountId),
    /// A name, in any case: an address, a username, a name that was typed, or somebody who did it.
    Name(String),
    /// A request, by its id.
    Request(String),
}

impl AuditSubject {
    /// A name.
    pub fn name(name: &str) -> Self {
        Self::Name(name.trim().to_lowercase())
    }

    /// All subjects of an event, each once.
    pub fn of(event: &AuditEvent) -> Vec<Self> {
        let mut subjects = Self::called(event);
        subjects.extend(event.by.as_deref().map(Self::name));
        subjects.extend(event.account.map(Self::Account));
        subjects.extend(event.request_id.clone().map(Self::Request));
        let mut once = Vec::with_capacity(subjects.len());
        for subject in subjects {
            if !once.contains(&subject) {
                once.push(subject);
            }
        }
        once
    }

    /// What the account of an event is called in it: its address, and its username or another address where it is
    /// given or taken.
    pub fn called(event: &AuditEvent) -> Vec<Self> {
        let mut names = vec![Self::name(&event.who)];
        let detail = match event.event {
            AuditKind::SignUp
            | AuditKind::AccountAdd
            | AuditKind::UsernameChange
            | AuditKind::EmailChange
            | AuditKind::AccountDelete => event.detail.as_deref().and_then(AuditDetail::read),
            _ => None,
        };
        if let Some(detail) = detail {
            names.extend(detail.get(DetailKey::Username).map(Self::name));
            let change = detail
                .get(DetailKey::From)
                .and_then(|change| change.split_once(" to "));
            names.extend(
                change
                    .into_iter()
                    .flat_map(|(before, now)| [before, now])
                    .map(Self::name),
            );
        }
        names
    }

    fn is_of(&self, event: &AuditEvent) -> bool {
        Self::of(event).contains(self)
    }
}

/// In which order events are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOrder {
    /// The newest first.
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// Events that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// Each with its place.
    pub events: Vec<(AuditCursor, AuditEvent)>,
    /// Which cannot be read, and why: they stand in no other's way (S49).
    #[serde(default)]
    pub unreadable: Vec<String>,
    /// After which place there may be more; none at the end.
    pub next: Option<AuditCursor>,
}

impl AuditPage {
    /// Whether it has so many events, those that cannot be read included.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        self.events.len() + self.unreadable.len() >= limit
    }
}
